//! A header field's name, and what can be done to the fields of a head.

use tidegate_core::{Bytes, HeaderMap, HeaderName, HeaderValue, RequestHeader, ResponseHeader, Result};

/// A field's name, parsed once: to be compared, and as it is to stand on an HTTP/1 wire.
#[derive(Debug, Clone)]
pub(crate) struct FieldName {
    name: HeaderName,
    written: Bytes,
}

impl FieldName {
    /// `None` when it is no token (RFC 9110 section 5.1).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
        Some(Self { name, written: Bytes::copy_from_slice(text.as_bytes()) })
    }

    /// In lower case, as names are compared.
    pub(crate) fn name(&self) -> &HeaderName {
        &self.name
    }
}

/// A value that an operator wrote for a field of its own: visible ASCII, and not blank.
pub(crate) fn written_value(text: &str) -> Option<HeaderValue> {
    let fits = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && !text.trim().is_empty();
    fits.then(|| HeaderValue::from_str(text).ok()).flatten()
}

/// The fields of a request's or a response's head. All values of a name are one field to those who edit.
pub(crate) trait Fields {
    /// All of them.
    fn fields(&self) -> &HeaderMap;
    /// One value, in place of all that were there.
    fn put(&mut self, name: &FieldName, value: HeaderValue) -> Result<()>;
    /// One more value, after those that are there.
    fn push(&mut self, name: &FieldName, value: HeaderValue) -> Result<()>;
    /// None of that name from now on. Nothing happens where there was none.
    fn take(&mut self, name: &HeaderName);

    /// Every value of a name, in order.
    fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.fields().get_all(name).iter().cloned().collect()
    }

    /// Each value of a name as `edit` makes it; `None` leaves one as it was. Allocates only when one changes.
    fn edit(&mut self, name: &FieldName, edit: impl Fn(&HeaderValue) -> Option<HeaderValue>) -> Result<()> {
        let values = || self.fields().get_all(name.name()).iter();
        if !values().any(|value| edit(value).is_some()) {
            return Ok(());
        }
        let edited: Vec<_> = values().map(|value| edit(value).unwrap_or_else(|| value.clone())).collect();
        self.take(name.name());
        edited.into_iter().try_for_each(|value| self.push(name, value))
    }
}

macro_rules! fields_of {
    ($head:ty) => {
        impl Fields for $head {
            fn fields(&self) -> &HeaderMap {
                &self.headers
            }
            fn put(&mut self, name: &FieldName, value: HeaderValue) -> Result<()> {
                Ok(self.insert_header(name.written.clone(), value)?)
            }
            fn push(&mut self, name: &FieldName, value: HeaderValue) -> Result<()> {
                self.append_header(name.written.clone(), value)?;
                Ok(())
            }
            fn take(&mut self, name: &HeaderName) {
                self.remove_header(name);
            }
        }
    };
}

fields_of!(RequestHeader);
fields_of!(ResponseHeader);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A response with these fields.
    pub(crate) fn response(fields: &[(&str, &str)]) -> ResponseHeader {
        let mut head = ResponseHeader::build(200, None).expect("valid");
        fill(&mut head, fields);
        head
    }

    /// A request with these fields.
    pub(crate) fn request(fields: &[(&str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).expect("valid");
        fill(&mut head, fields);
        head
    }

    fn fill(head: &mut impl Fields, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let name = FieldName::parse(name).expect("valid");
            head.push(&name, value.parse().expect("valid")).expect("fits");
        }
    }

    /// Name and value of each field, sorted by name; values of one name in their order.
    pub(crate) fn listed(head: &impl Fields) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut all: Vec<_> = head.fields().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// [`listed`], to be compared with literals.
    #[track_caller]
    pub(crate) fn assert_fields(head: &impl Fields, expected: &[(&str, &str)]) {
        let listed = listed(head);
        let listed: Vec<_> = listed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_name_keeps_the_case_it_was_written_in_on_an_http1_wire() {
        let mut head = response(&[]);
        head.put(&FieldName::parse("X-User-ID").expect("valid"), "7".parse().expect("valid")).expect("fits");
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        assert_eq!(wire, b"X-User-ID: 7\r\n");
    }

    #[test]
    fn values_are_edited_in_place_and_order_is_kept() {
        let mut head = response(&[("a", "1"), ("b", "x"), ("a", "2"), ("a", "3")]);
        let name = FieldName::parse("A").expect("valid");
        let two_is_ten = |value: &HeaderValue| (value == "2").then(|| HeaderValue::from_static("10"));
        head.edit(&name, two_is_ten).expect("fits");
        assert_fields(&head, &[("a", "1"), ("a", "10"), ("a", "3"), ("b", "x")]);
    }
}
