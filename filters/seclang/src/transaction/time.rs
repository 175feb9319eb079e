//! Seconds since the epoch as a date.

/// A moment in UTC. A proxy's rules should not depend on the zone of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub year: u64,
    /// 0 to 11, as `TIME_MON` in ModSecurity.
    pub month0: u64,
    /// 1 to 31.
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
    /// 0 is Sunday.
    pub weekday: u64,
}

impl Calendar {
    /// From seconds since the Unix epoch. Counts days by eras of 400 years that begin in March, so that the leap day is
    /// the last of a year.
    pub fn utc(seconds: u64) -> Self {
        const DAYS_TO_MARCH_OF_YEAR_0: u64 = 719_468;
        const DAYS_OF_ERA: u64 = 146_097;
        let days = seconds / 86_400;
        let shifted = days + DAYS_TO_MARCH_OF_YEAR_0;
        let (era, of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month0 = (from_march + 2) % 12;
        let year = era * 400 + year_of_era + u64::from(month0 < 2);
        Self {
            year,
            month0,
            day,
            hour: seconds / 3_600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            weekday: (days + 4) % 7,
        }
    }

    /// `21/Nov/2026:17:04:09 +0000`, as audit logs write it.
    pub fn log_time(&self) -> String {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let month = usize::try_from(self.month0)
            .ok()
            .and_then(|month| MONTHS.get(month))
            .unwrap_or(&"");
        format!(
            "{:02}/{month}/{}:{:02}:{:02}:{:02} +0000",
            self.day, self.year, self.hour, self.minute, self.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Calendar;

    #[test]
    fn known_days() {
        let cases = [
            (0, "01/Jan/1970:00:00:00 +0000", 4),
            (951_782_400, "29/Feb/2000:00:00:00 +0000", 2),
            (1_735_689_599, "31/Dec/2024:23:59:59 +0000", 2),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000", 1),
        ];
        for (seconds, text, weekday) in cases {
            let calendar = Calendar::utc(seconds);
            assert_eq!(calendar.log_time(), text);
            assert_eq!(calendar.weekday, weekday, "{text}");
        }
    }
}
