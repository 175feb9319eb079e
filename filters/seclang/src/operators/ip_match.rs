//! `@ipMatch`, `@ipMatchFromFile` and `@ipMatchF`: the value is an address of one of the networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::{Found, Operator, Source};

/// Networks as ranges of addresses, in order and apart from one another, so that a million of them are searched in
/// twenty steps.
#[derive(Debug, Default)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// `@ipMatch`: addresses and networks with commas between them.
pub(super) fn listed(source: &Source<'_>) -> Result<Operator, String> {
    let mut networks = Networks::default();
    for item in source.argument.split(',').map(str::trim) {
        if !item.is_empty() {
            networks.add(item)?;
        }
    }
    networks.finish()
}

/// `@ipMatchFromDataset`: the same a line of the argument.
pub(super) fn records(source: &Source<'_>) -> Result<Operator, String> {
    let mut networks = Networks::default();
    for item in source.argument.lines() {
        networks.add(item)?;
    }
    networks.finish()
}

/// `@ipMatchFromFile`: the same a line; what comes after `#` says nothing.
pub(super) fn from_files(source: &Source<'_>) -> Result<Operator, String> {
    let mut networks = Networks::default();
    for content in source.files_named()? {
        for (number, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.split_once('#').map_or(&*line, |(before, _)| before);
            for item in line.split(',').map(str::trim) {
                if !item.is_empty() {
                    let line = number + 1;
                    networks
                        .add(item)
                        .map_err(|error| format!("line {line} of the file: {error}"))?;
                }
            }
        }
    }
    networks.finish()
}

impl Networks {
    fn add(&mut self, item: &str) -> Result<(), String> {
        let network: IpNetwork = item.parse().map_err(|_| {
            format!("{item:?} is neither an address nor a network in CIDR notation")
        })?;
        match network {
            IpNetwork::V4(network) => {
                let (first, last) = (network.network(), network.broadcast());
                self.v4.push((first.to_bits(), last.to_bits()));
            }
            IpNetwork::V6(network) => {
                let (first, last) = (network.network(), network.broadcast());
                match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                    (Some(first), Some(last)) => self.v4.push((first.to_bits(), last.to_bits())),
                    _ => self.v6.push((first.to_bits(), last.to_bits())),
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Operator, String> {
        if self.v4.is_empty() && self.v6.is_empty() {
            return Err(
                "there is no address to compare with; @noMatch is the operator that never matches"
                    .to_owned(),
            );
        }
        join(&mut self.v4);
        join(&mut self.v6);
        Ok(Operator::IpMatch(self))
    }

    pub(super) fn evaluate(&self, value: &[u8], found: &mut Found) -> bool {
        let Some(address) = address(value) else {
            return false;
        };
        let matches = match address {
            // What is no IPv4 address of a network of IPv6 (`::/0`) may be one as its mapped form.
            IpAddr::V4(address) => {
                has(&self.v4, address.to_bits())
                    || has(&self.v6, address.to_ipv6_mapped().to_bits())
            }
            IpAddr::V6(address) => has(&self.v6, address.to_bits()),
        };
        if matches {
            found.at(0..value.len());
        }
        matches
    }
}

/// An address, `::ffff:192.0.2.1` as the IPv4 address that it means.
fn address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(address));
    }
    let address = text.parse::<Ipv6Addr>().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// Sorts ranges and makes one of those that overlap.
fn join<T: Ord + Copy>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlap = next.0 <= kept.1;
        if overlap {
            kept.1 = kept.1.max(next.1);
        }
        overlap
    });
    ranges.shrink_to_fit();
}

fn has<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= address);
    let range = after.checked_sub(1).and_then(|index| ranges.get(index));
    range.is_some_and(|&(_, last)| address <= last)
}
