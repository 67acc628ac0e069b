//! The date, for templates that tell the model what day it is.

use minijinja::{Error, ErrorKind};

/// Seconds since 1970 began, in UTC.
pub type Clock = fn() -> u64;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// 1 January 1970 was a Thursday.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Python's `strftime` of a time in UTC.
///
/// # Errors
/// Names a directive that is not known here.
pub fn strftime(seconds: u64, format: &str) -> Result<String, Error> {
    let days = seconds / 86_400;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = date(days);
    let hour12 = (hour + 11) % 12 + 1;
    let weekday = DAYS[(days % 7) as usize];
    let month_name = MONTHS[month as usize - 1];
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        let mut directive = chars.next().unwrap_or('%');
        // glibc's way to ask for no leading zero.
        let plain = directive == '-';
        if plain {
            directive = chars.next().unwrap_or('-');
        }
        let two = |number: u64| if plain { number.to_string() } else { format!("{number:02}") };
        text += &match directive {
            '%' => "%".into(),
            'n' => "\n".into(),
            't' => "\t".into(),
            'Y' => year.to_string(),
            'y' => two(year % 100),
            'm' => two(month),
            'd' => two(day),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", days - days_before(year, 1) + 1),
            'H' => two(hour),
            'I' => two(hour12),
            'M' => two(minute),
            'S' => two(second),
            'f' => "000000".into(),
            'p' => if hour < 12 { "AM" } else { "PM" }.into(),
            'A' => weekday.into(),
            'a' => weekday[..3].into(),
            'B' => month_name.into(),
            'b' | 'h' => month_name[..3].into(),
            'w' => ((days + 4) % 7).to_string(),
            'u' => ((days + 3) % 7 + 1).to_string(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'R' => format!("{hour:02}:{minute:02}"),
            'D' | 'x' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'X' => format!("{hour:02}:{minute:02}:{second:02}"),
            'c' => format!("{} {} {day:2} {hour:02}:{minute:02}:{second:02} {year}", &weekday[..3], &month_name[..3]),
            // Python's clock knows no zone, so it writes nothing.
            'Z' | 'z' => String::new(),
            _ => {
                let what = format!("strftime_now: the directive %{directive} is not known here");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
        };
    }
    Ok(text)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_len(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the beginning of a month.
fn days_before(year: u64, month: u64) -> u64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - 477;
    (year - 1970) * 365 + leaps + (1..month).map(|month| month_len(year, month)).sum::<u64>()
}

/// Year, month and day.
fn date(days: u64) -> (u64, u64, u64) {
    let year = (1970 + days / 366..).find(|year| days_before(year + 1, 1) > days).unwrap_or(1970);
    let month = (1..=12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(1);
    (year, month, days - days_before(year, month) + 1)
}
