//! JSON as this program writes it: flat objects of numbers, base64 and words of its own. Nothing needs escaping, and a listing of many
//! entries does not wait for a formatter.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// An object that is being written.
#[derive(Debug)]
pub struct Json {
    text: String,
}

impl Json {
    pub fn object() -> Self {
        Self { text: String::from("{") }
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    /// A text of this program's own, without characters that JSON escapes.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.text.push('"');
        self.text.push_str(value);
        self.text.push('"');
        self
    }

    pub fn bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.name(name);
        self.text.push('"');
        STANDARD.encode_string(value, &mut self.text);
        self.text.push('"');
        self
    }

    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        self.digits(value, 1);
        self
    }

    pub fn truth(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// A time as milliseconds, exact to the nanosecond.
    pub fn milliseconds(&mut self, name: &str, seconds: i64, nanoseconds: u64) -> &mut Self {
        self.name(name);
        let (mut seconds, before, mut nanoseconds) = (seconds.unsigned_abs(), seconds < 0, nanoseconds);
        if before {
            self.text.push('-');
            // The kernel counts nanoseconds forwards from whole seconds, before 1970 as well.
            if nanoseconds > 0 {
                seconds -= 1;
                nanoseconds = NS_PER_S - nanoseconds;
            }
        }
        // Without multiplying, which no number of 64 bits would hold for every time there can be.
        if seconds > 0 {
            self.digits(seconds, 1);
        }
        self.digits(nanoseconds / NS_PER_MS, if seconds > 0 { 3 } else { 1 });
        if nanoseconds % NS_PER_MS != 0 {
            self.text.push('.');
            self.digits(nanoseconds % NS_PER_MS, 6);
        }
        self
    }

    /// Objects that have been written, as an array.
    pub fn array(&mut self, name: &str, objects: &[Json]) -> &mut Self {
        self.name(name);
        for (index, object) in objects.iter().enumerate() {
            self.text.push(if index == 0 { '[' } else { ',' });
            self.text.push_str(&object.text);
            self.text.push('}');
        }
        self.text.push_str(if objects.is_empty() { "[]" } else { "]" });
        self
    }

    fn digits(&mut self, value: u64, at_least: usize) {
        /// Of 64 bits.
        const MOST: usize = 20;
        let mut digits = [b'0'; MOST];
        let mut rest = value;
        let mut begin = MOST;
        while begin > 0 && (rest > 0 || MOST - begin < at_least) {
            begin -= 1;
            digits[begin] = b"0123456789"[(rest % 10) as usize];
            rest /= 10;
        }
        self.text.push_str(std::str::from_utf8(&digits[begin..]).unwrap_or_default());
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// The finished object.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.text.push('}');
        self.text.into_bytes()
    }

    pub fn into_line(self) -> Vec<u8> {
        let mut line = self.into_bytes();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    fn time(seconds: i64, nanoseconds: u64) -> String {
        let mut json = Json::object();
        json.milliseconds("t", seconds, nanoseconds);
        String::from_utf8(json.into_bytes()).unwrap()
    }

    #[test]
    fn numbers_of_every_length() {
        let mut json = Json::object();
        json.number("a", 0).number("b", 7).number("c", u64::MAX).truth("d", true);
        assert_eq!(json.into_bytes(), b"{\"a\":0,\"b\":7,\"c\":18446744073709551615,\"d\":true}");
    }

    #[test]
    fn times_before_and_after_the_epoch_are_exact() {
        assert_eq!(time(0, 0), r#"{"t":0}"#);
        assert_eq!(time(1, 500_000_000), r#"{"t":1500}"#);
        assert_eq!(time(1, 1), r#"{"t":1000.000001}"#);
        assert_eq!(time(-1, 250_000_000), r#"{"t":-750}"#);
        assert_eq!(time(-1, 999_000_000), r#"{"t":-1}"#);
        assert_eq!(time(-2, 999_999_999), r#"{"t":-1000.000001}"#);
        assert_eq!(time(1_700_000_000, 5_000_000), r#"{"t":1700000000005}"#);
        assert_eq!(time(i64::MAX, 0), r#"{"t":9223372036854775807000}"#);
        assert_eq!(time(i64::MIN, 0), r#"{"t":-9223372036854775808000}"#);
    }

    #[test]
    fn arrays_hold_objects() {
        let mut first = Json::object();
        first.number("n", 1);
        let mut json = Json::object();
        json.array("none", &[]).array("some", &[first, Json::object()]);
        assert_eq!(json.into_bytes(), br#"{"none":[],"some":[{"n":1},{}]}"#);
    }
}
