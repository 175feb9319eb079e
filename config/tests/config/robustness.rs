//! Whatever the bytes, there is an answer: no panic, no endless work, and every problem has a place in the file.

use std::path::Path;

use portcullis_config::Problems;

use crate::fixture::Fixture;

/// A small generator, so that each run tries the same (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }
}

fn good() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/full.yaml");
    std::fs::read_to_string(file).unwrap()
}

fn check(fixture: &Fixture, text: &str) -> bool {
    match fixture.parse(text) {
        Ok(_) => true,
        Err(Problems(problems)) => {
            assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in &problems {
                assert!(
                    (1..=lines + 1).contains(&problem.line) && problem.column >= 1,
                    "{problem}\n{text}"
                );
                assert!(
                    !problem.message.is_empty() && !problem.message.contains('\n'),
                    "{problem}"
                );
            }
            assert!(problems.is_sorted_by_key(|problem| (problem.line, problem.column)));
            false
        }
    }
}

#[test]
fn mutations_never_panic() {
    const STRANGE: &[u8] = b"\0\t\r\n :,-?#&*!|>'\"%@`{}[]$~<=.\\\x7f0aZ";
    let (fixture, good) = (Fixture::of_the_cases(), good());
    assert!(check(&fixture, &good), "the good file is not good");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for round in 0..4000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=round % 3 {
            let at = random.below(bytes.len());
            match random.below(7) {
                0 => bytes[at] ^= 1 << random.below(7),
                1 => bytes[at] = STRANGE[random.below(STRANGE.len())],
                2 => bytes.insert(at, STRANGE[random.below(STRANGE.len())]),
                3 => bytes.truncate(at.max(1)),
                4 => drop(bytes.drain(at..(at + random.below(20)).min(bytes.len()))),
                5 => {
                    let line = bytes[at..]
                        .iter()
                        .position(|b| *b == b'\n')
                        .map_or(bytes.len(), |end| at + end + 1);
                    let copy = bytes[at..line].to_vec();
                    bytes.splice(line..line, copy);
                }
                _ => {
                    let other = random.below(bytes.len());
                    bytes.swap(at, other);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        if !check(&fixture, &String::from_utf8_lossy(&bytes)) {
            refused += 1;
        }
    }
    assert!(
        refused > 2000,
        "only {refused} of 4000 mutations were refused"
    );
}

#[test]
fn every_prefix_has_an_answer() {
    let (fixture, good) = (Fixture::of_the_cases(), good());
    for end in (0..good.len()).filter(|end| good.is_char_boundary(*end)) {
        check(&fixture, &good[..end]);
    }
}

#[test]
fn every_line_may_be_missing_or_doubled() {
    let (fixture, good) = (Fixture::of_the_cases(), good());
    let lines: Vec<&str> = good.lines().collect();
    for index in 0..lines.len() {
        let mut missing = lines.clone();
        missing.remove(index);
        check(&fixture, &missing.join("\n"));
        let mut doubled = lines.clone();
        doubled.insert(index, lines[index]);
        check(&fixture, &doubled.join("\n"));
    }
}

#[test]
fn bombs_end_soon() {
    let fixture = Fixture::default().env("BIG", &"x".repeat(8 << 20));
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..30 {
        text += &format!(
            "a{level}: &a{level} [{}]\n",
            format!("*a{},", level - 1).repeat(10)
        );
    }
    assert!(!check(&fixture, &text));
    let drawn = format!(
        "filters: {{ f: {{ builtin: auth, config: [{}] }} }}",
        "\"${env:BIG}\",".repeat(200)
    );
    let problems = fixture.parse(&drawn).unwrap_err();
    assert!(problems.to_string().contains("too large together"));
    assert!(!check(&fixture, &"[".repeat(100_000)));
    assert!(!check(&fixture, &"{a: ".repeat(100_000)));
    assert!(!check(&fixture, &"- ".repeat(100_000)));
    assert!(!check(&fixture, &format!("a: {}", "&a ".repeat(10_000))));
}
