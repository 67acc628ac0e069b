//! The date, for templates that tell the model what day it is.

use minijinja::{Error, ErrorKind};

/// Seconds since 1970 began, in UTC.
pub type Clock = fn() -> u64;

const MONTHS: &str = "January February March April May June July August September October November December";
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
    let month_name = MONTHS.split(' ').nth(month as usize - 1).unwrap_or_default();
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
            'j' => format!("{:03}", (1..=366).find(|nth| matches!(date(days + 1 - nth), (_, 1, 1))).unwrap_or(1)),
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

/// Year, month and day. Counted from a March, a year has its odd day at its end; 400 years have 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn days_follow_one_another() {
        let mut expected = (1970, 1, 1, 1);
        for day in 0..60_000 {
            let (year, month, date, of_year) = expected;
            let text = strftime(day * 86_400, "%Y-%-m-%-d %j").unwrap();
            assert_eq!(text, format!("{year}-{month}-{date} {of_year:03}"));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let len = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
            expected = match (month, date == len) {
                (12, true) => (year + 1, 1, 1, 1),
                (_, true) => (year, month + 1, 1, of_year + 1),
                _ => (year, month, date + 1, of_year + 1),
            };
        }
    }
}
