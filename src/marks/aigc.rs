//! The implicit label of GB 45438-2025, Annex E: who made the content, who spread it, and its numbers.

use serde::{Deserialize, Serialize};

/// Longest value that is taken, in characters.
const LONGEST: usize = 512;
/// What a code of a service provider begins with (TC260-PG-20252A).
const CODE_BEGIN: &str = "001";
/// Characters of a code: the begin, the kind of its owner, the owner's 18, the service's 5.
const CODE_LENGTH: usize = 27;
/// The kind of an owner who has a unified social credit code.
const ORGANISATION: u8 = b'1';
/// The digits of such a code (GB 32100-2015).
const DIGITS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Besides letters and digits.
const SIGNS: &str = " -_.:/+=,|@()（）·";

/// The members, in the standard's order, all of them texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Aigc {
    /// `1`: the content is generated, `2`: it may be, `3`: it is suspected to be.
    pub label: String,
    /// Name or code of the service that made it.
    pub content_producer: String,
    /// The number that the producer gave the content.
    #[serde(rename = "ProduceID")]
    pub produce_id: String,
    /// What the producer protects the label with, a signature say.
    pub reserved_code1: String,
    /// Name or code of the service that spreads it.
    pub content_propagator: String,
    /// The number that the propagator gave the content.
    #[serde(rename = "PropagateID")]
    pub propagate_id: String,
    /// What the propagator protects the label with.
    pub reserved_code2: String,
}

impl Aigc {
    /// Of generated content made by that service.
    pub fn made_by(producer: &str) -> Self {
        Self {
            label: "1".into(),
            content_producer: producer.trim().into(),
            ..Self::default()
        }
    }

    /// As it is written into files: one object, no spaces, letters as they are.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Self::json`] writes, and refuses what breaks the standard.
    pub fn of_json(text: &str) -> Result<Self, String> {
        let aigc: Self = serde_json::from_str(text).map_err(|e| match text.starts_with('"') {
            true => "it is a text in a text, encoded twice".to_owned(),
            false => e.to_string(),
        })?;
        aigc.check()?;
        Ok(aigc)
    }

    /// What breaks the standard, with the remedy.
    pub fn check(&self) -> Result<(), String> {
        if !["1", "2", "3"].contains(&self.label.as_str()) {
            return Err(format!(
                "Label is `{}`; it is 1 (generated), 2 (may be) or 3 (suspected)",
                self.label
            ));
        }
        if self.content_producer.is_empty() {
            return Err(
                "ContentProducer is empty; give the name or the code of the service".into(),
            );
        }
        for (name, value) in [
            ("ContentProducer", &self.content_producer),
            ("ProduceID", &self.produce_id),
            ("ReservedCode1", &self.reserved_code1),
            ("ContentPropagator", &self.content_propagator),
            ("PropagateID", &self.propagate_id),
            ("ReservedCode2", &self.reserved_code2),
        ] {
            if value.chars().count() > LONGEST {
                return Err(format!("{name} has more than {LONGEST} characters"));
            }
            if let Some(bad) = value.chars().find(|c| !is_allowed(*c)) {
                return Err(format!(
                    "{name} has `{}` in it; letters, digits, spaces and {} are taken",
                    bad.escape_debug(),
                    SIGNS.trim_start()
                ));
            }
        }
        for (name, value) in [
            ("ContentProducer", &self.content_producer),
            ("ContentPropagator", &self.content_propagator),
        ] {
            check_code(value).map_err(|why| format!("{name} `{value}`: {why}"))?;
        }
        Ok(())
    }
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || SIGNS.contains(c)
}

/// A name is taken as it is; what looks like a code has to be one.
fn check_code(value: &str) -> Result<(), String> {
    let is_code = value.starts_with(CODE_BEGIN)
        && value.len() > 8
        && value
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
    if !is_code {
        return Ok(());
    }
    if value.len() != CODE_LENGTH {
        return Err(format!(
            "a code has {CODE_LENGTH} characters, and this has {}",
            value.len()
        ));
    }
    let bytes = value.as_bytes();
    if bytes[3] == ORGANISATION && !is_credit_code(&value[4..22]) {
        return Err(format!(
            "`{}` in it is no unified social credit code; look for a digit that was mistyped",
            &value[4..22]
        ));
    }
    Ok(())
}

/// Whether the last of 18 characters is the check character of the others (GB 32100-2015, modulo 31).
fn is_credit_code(code: &str) -> bool {
    let digits: Option<Vec<usize>> = code.chars().map(|c| DIGITS.find(c)).collect();
    let Some((last, first)) = digits.as_deref().and_then(<[usize]>::split_last) else {
        return false;
    };
    let mut weight = 1;
    let mut sum = 0;
    for digit in first {
        sum += digit * weight;
        weight = weight * 3 % 31;
    }
    first.len() == 17 && (31 - sum % 31) % 31 == *last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code as such services publish it.
    const CODE: &str = "001191110102MAD55U9H0F10002";

    #[test]
    fn members_are_written_in_order_and_read_back() {
        let aigc = Aigc {
            produce_id: "a-1".into(),
            content_propagator: "云平台".into(),
            ..Aigc::made_by(CODE)
        };
        aigc.check().unwrap();
        let json = aigc.json();
        assert_eq!(
            json,
            r#"{"Label":"1","ContentProducer":"001191110102MAD55U9H0F10002","ProduceID":"a-1","ReservedCode1":"","ContentPropagator":"云平台","PropagateID":"","ReservedCode2":""}"#
        );
        assert_eq!(Aigc::of_json(&json), Ok(aigc));
    }

    #[test]
    fn what_breaks_the_standard_is_told_with_the_member() {
        let with = |change: &dyn Fn(&mut Aigc)| {
            let mut aigc = Aigc::made_by(CODE);
            change(&mut aigc);
            aigc.check().unwrap_err()
        };
        let told = |error: &str, words: &[&str]| {
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        };
        told(
            &with(&|a| a.label = "4".into()),
            &["Label", "`4`", "1 (generated)"],
        );
        told(&with(&|a| a.content_producer.clear()), &["ContentProducer"]);
        told(
            &with(&|a| {
                a.content_producer.pop();
            }),
            &["27 characters", "26"],
        );
        told(
            &with(&|a| a.content_producer = CODE.replace("9H0F", "9H0E")),
            &["social credit code"],
        );
        told(
            &with(&|a| a.produce_id = "a\"b".into()),
            &["ProduceID", "\""],
        );
        told(
            &with(&|a| a.produce_id = "a\nb".into()),
            &["ProduceID", "\\n"],
        );
        told(
            &with(&|a| a.reserved_code2 = "x".repeat(513)),
            &["ReservedCode2", "512"],
        );
        // A name need not be a code, and codes of others have no check character.
        Aigc::made_by("示例公司 (北京)").check().unwrap();
        Aigc::made_by("001211010519491231002X00001")
            .check()
            .unwrap();

        let json = Aigc::made_by(CODE).json();
        let twice = serde_json::to_string(&json).unwrap();
        told(&Aigc::of_json(&twice).unwrap_err(), &["twice"]);
        let more = json.replace("\"Label\"", "\"More\":\"1\",\"Label\"");
        told(&Aigc::of_json(&more).unwrap_err(), &["More"]);
        let less = json.replace(",\"ReservedCode2\":\"\"", "");
        told(&Aigc::of_json(&less).unwrap_err(), &["ReservedCode2"]);
    }
}
