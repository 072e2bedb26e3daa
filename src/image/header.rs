//! A FITS header as a list of 80-character cards, kept verbatim so that WCS and history survive.

/// Bytes of a FITS block.
pub(super) const BLOCK: usize = 2880;
/// Bytes of a header card.
pub(super) const CARD: usize = 80;

/// Header cards of an image, without the structural keywords that the writer makes itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    cards: Vec<String>,
}

/// Keywords that describe how the pixels are stored, not what they mean.
const STRUCTURAL: [&str; 17] = [
    "SIMPLE", "BITPIX", "NAXIS", "EXTEND", "BSCALE", "BZERO", "BLANK", "END", "PCOUNT", "GCOUNT", "XTENSION",
    "EXTNAME", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX", "TFIELDS",
];

fn keyword(card: &str) -> &str {
    card.get(..8).unwrap_or(card).trim_end()
}

/// Whether a card can be written: its keyword has only the letters, digits, `-` and `_` that the standard allows, with
/// blanks at its end, and the rest is printable.
pub(crate) fn is_legal(card: &str) -> bool {
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    card.len() <= 80 && keyword(card).bytes().all(legal) && card.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn is_structural(card: &str) -> bool {
    let key = keyword(card);
    STRUCTURAL.contains(&key)
        || (key.starts_with("NAXIS") && key[5..].bytes().all(|b| b.is_ascii_digit()))
        || [
            "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZTILE", "ZNAME", "ZVAL", "ZQUANTIZ", "ZDITHER", "TTYPE",
            "TFORM",
        ]
        .iter()
        .any(|p| key.starts_with(p))
}

impl Header {
    /// Keeps the meaningful cards of `cards`.
    pub fn from_cards(cards: impl IntoIterator<Item = String>) -> Self {
        Self { cards: cards.into_iter().filter(|c| !is_structural(c)).collect() }
    }

    /// All of `cards`, those that describe the storage too.
    pub(crate) fn verbatim(cards: Vec<String>) -> Self {
        Self { cards }
    }

    /// The cards, verbatim.
    pub fn cards(&self) -> &[String] {
        &self.cards
    }

    /// The raw value field of `key`, comment removed; strings without their quotes.
    pub fn get(&self, key: &str) -> Option<String> {
        let card = self.cards.iter().find(|c| keyword(c) == key && c.get(8..10) == Some("= "))?;
        let field = card[10..].trim();
        if let Some(rest) = field.strip_prefix('\'') {
            let mut value = String::new();
            let mut chars = rest.chars().peekable();
            while let Some(c) = chars.next() {
                if c == '\'' {
                    if chars.peek() == Some(&'\'') {
                        chars.next();
                    } else {
                        break;
                    }
                }
                value.push(c);
            }
            return Some(value.trim_end().to_string());
        }
        Some(field.split('/').next().unwrap_or("").trim().to_string())
    }

    /// A number; `None` when the key is absent or not a number.
    pub fn get_f64(&self, key: &str) -> Option<f64> {
        // FORTRAN's D exponent is legal in FITS.
        self.get(key)?.replace(['D', 'd'], "E").parse().ok()
    }

    /// Sets a number, replacing an earlier card of that key in place.
    pub fn set_f64(&mut self, key: &str, value: f64) {
        self.set_raw(key, &format!("{value:E}"));
    }

    /// Sets a logical value.
    pub(crate) fn set_logical(&mut self, key: &str, value: bool) {
        self.set_raw(key, if value { "T" } else { "F" });
    }

    /// Sets a string.
    pub fn set_str(&mut self, key: &str, value: &str) {
        let quoted = format!("'{:<8}'", value.replace('\'', "''"));
        let card = format!("{key:<8}= {quoted:<20}");
        self.put(key, card);
    }

    /// Appends a HISTORY line (long text is cut into several cards).
    pub fn add_history(&mut self, text: &str) {
        let ascii: Vec<char> = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
        for piece in ascii.chunks(70) {
            self.cards.push(format!("HISTORY   {}", piece.iter().collect::<String>()));
        }
    }

    /// Drops every card of `key`.
    pub fn remove(&mut self, key: &str) {
        self.cards.retain(|c| keyword(c) != key);
    }

    fn set_raw(&mut self, key: &str, value: &str) {
        let card = format!("{key:<8}= {value:>20}");
        self.put(key, card);
    }

    fn put(&mut self, key: &str, card: String) {
        match self.cards.iter_mut().find(|c| keyword(c) == key) {
            Some(old) => *old = card,
            None => self.cards.push(card),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_outside_the_standard_are_illegal() {
        for card in
            ["OBS{RVER= 'x'", "WSCW?IGH= 'x'", "LA POLE = 1.0", " LONPOLE= 1.0", "BMAJ    = \t1.0", "bmaj    = 1.0"]
        {
            assert!(!is_legal(card), "{card}");
        }
        for card in ["DATE-OBS= 'x'", "WCS_1   = 1.0", "        text", "HISTORY a{b?", "END", ""] {
            assert!(is_legal(card), "{card}");
        }
    }

    #[test]
    fn values_are_read_and_replaced() {
        let mut header = Header::from_cards(
            [
                "SIMPLE  =                    T / standard",
                "NAXIS1  =                   10",
                "BMAJ    =   1.000000000000D-03 / [deg] beam",
                "OBJECT  = 'O''Neil / A'        / name",
            ]
            .map(String::from),
        );
        assert_eq!(header.cards().len(), 2);
        assert_eq!(header.get_f64("BMAJ"), Some(1e-3));
        assert_eq!(header.get("OBJECT").as_deref(), Some("O'Neil / A"));
        header.set_f64("BMAJ", 0.25);
        assert_eq!(header.get_f64("BMAJ"), Some(0.25));
        assert_eq!(header.cards().len(), 2);
        assert_eq!(header.get_f64("NAXIS1"), None);
    }
}
