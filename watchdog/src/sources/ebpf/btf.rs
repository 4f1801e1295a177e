//! A small reader of the kernel's own type information (BTF): where a member lies, how long a structure is, and what a
//! tracepoint hands over. aya's reader builds all 130,000 types; this one keeps the bytes, and is dropped after the load.
//!
//! Invariant: any bytes never panic; what does not fit is `None`.

/// The type information of a kernel.
pub(super) struct Btf<'a> {
    /// Type 1 is the first; `void` is number 0 and has no bytes.
    types: Vec<Type<'a>>,
    strings: &'a [u8],
}

#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// A size or another type's number, as the kind has it.
    size: u32,
    /// Members, parameters.
    rest: &'a [u8],
}

const PTR: u32 = 2;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const FUNC_PROTO: u32 = 13;

impl Type<'_> {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    /// Member offsets hold the width of a bit field too.
    fn has_bit_fields(&self) -> bool {
        self.info >> 31 == 1
    }
}

/// A parameter of a tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// An address.
    Pointer,
    /// A number of any width.
    Number,
}

impl<'a> Btf<'a> {
    /// Reads the sections; `None` where this is no BTF of this machine's byte order, or broken.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Btf<'a>> {
        if half(bytes, 0)? != 0xeb9f {
            return None;
        }
        let header = word(bytes, 4)? as usize;
        let section = |at: usize| -> Option<&'a [u8]> {
            let start = header.checked_add(word(bytes, at)? as usize)?;
            bytes.get(start..start.checked_add(word(bytes, at + 4)? as usize)?)
        };
        let (mut rest, strings) = (section(8)?, section(16)?);
        let mut types = vec![];
        while !rest.is_empty() {
            let (name, info, size) = (word(rest, 0)?, word(rest, 4)?, word(rest, 8)?);
            let count = (info & 0xffff) as usize;
            let mut found = Type { name, info, size, rest: &[] };
            let length = match found.kind() {
                1 | 14 | 17 => 4,
                3 => 12,
                STRUCT | UNION | 15 | 19 => 12 * count,
                6 | FUNC_PROTO => 8 * count,
                PTR | 7..=12 | 16 | 18 => 0,
                _ => return None,
            };
            found.rest = rest.get(12..12 + length)?;
            types.push(found);
            rest = rest.get(12 + length..)?;
        }
        Some(Btf { types, strings })
    }

    /// Bytes from the start of a structure to a member: `offset("sock_common", "skc_net.net")`. Looks through unnamed members.
    pub(super) fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut at = self.named(structure, STRUCT)?;
        let mut offset = 0u32;
        for member in path.split('.') {
            let (bytes, kind) = self.member(at, member, 0)?;
            offset = offset.checked_add(bytes)?;
            at = self.resolved(kind)?;
        }
        Some(offset)
    }

    /// Bytes of a structure.
    pub(super) fn size(&self, structure: &str) -> Option<u32> {
        Some(self.named(structure, STRUCT)?.size)
    }

    /// What a tracepoint hands over, without the leading `void *` of all of them.
    pub(super) fn parameters(&self, tracepoint: &str) -> Option<Vec<Parameter>> {
        let pointer = self.resolved(self.named(&format!("btf_trace_{tracepoint}"), TYPEDEF)?.size)?;
        let function = self.resolved(pointer.size)?;
        if pointer.kind() != PTR || function.kind() != FUNC_PROTO {
            return None;
        }
        let parameters = function.rest.chunks_exact(8).skip(1);
        parameters
            .map(|parameter| {
                let kind = self.resolved(word(parameter, 4)?)?.kind();
                Some(if kind == PTR { Parameter::Pointer } else { Parameter::Number })
            })
            .collect()
    }

    fn named(&self, name: &str, kind: u32) -> Option<Type<'a>> {
        self.types.iter().copied().find(|found| found.kind() == kind && self.is_called(found.name, name))
    }

    fn is_called(&self, at: u32, name: &str) -> bool {
        let rest = self.strings.get(at as usize..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// Through names and qualifiers to what they stand for; bounded, for broken bytes may run in a circle.
    fn resolved(&self, mut number: u32) -> Option<Type<'a>> {
        for _ in 0..32 {
            let found = self.types.get((number as usize).checked_sub(1)?)?;
            match found.kind() {
                TYPEDEF..=11 | 18 => number = found.size,
                _ => return Some(*found),
            }
        }
        None
    }

    /// Offset in bytes, and type.
    fn member(&self, of: Type<'a>, name: &str, depth: u32) -> Option<(u32, u32)> {
        if depth > 8 || (of.kind() != STRUCT && of.kind() != UNION) {
            return None;
        }
        for member in of.rest.chunks_exact(12) {
            let (called, kind, mut bits) = (word(member, 0)?, word(member, 4)?, word(member, 8)?);
            if of.has_bit_fields() {
                bits &= 0xff_ffff;
            }
            if self.is_called(called, name) {
                return Some((bits / 8, kind));
            }
            if self.is_called(called, "")
                && let Some(inner) = self.resolved(kind)
                && let Some((offset, kind)) = self.member(inner, name, depth + 1)
            {
                return Some(((bits / 8).checked_add(offset)?, kind));
            }
        }
        None
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Btf, Parameter};

    /// Writes BTF by hand.
    #[derive(Default)]
    struct Writer {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Writer {
        fn name(&mut self, name: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend(name.bytes().chain([0]));
            at
        }

        fn add(&mut self, name: &str, kind: u32, count: u32, size: u32, rest: &[u32]) {
            let name = self.name(name);
            for word in [name, kind << 24 | count, size].iter().chain(rest) {
                self.types.extend(word.to_ne_bytes());
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
            bytes.extend([1, 0]);
            for word in [24, 0, types, types, strings] {
                bytes.extend(u32::to_ne_bytes(word));
            }
            bytes.extend(&self.types);
            bytes.extend(&self.strings);
            bytes
        }
    }

    /// 1 int · 2 struct inner { pad; x } · 3 union { inner; } · 4 struct outer { int; union } · 5 ptr to outer · 6 prototype ·
    /// 7 ptr to 6 · 8 typedef btf_trace_it
    fn sample() -> Vec<u8> {
        let mut w = Writer::default();
        w.add("int", 1, 0, 4, &[32]);
        let (pad, x, y) = (w.name("pad"), w.name("x"), w.name("y"));
        w.add("inner", 4, 2, 8, &[pad, 1, 0, x, 1, 32]);
        w.add("", 5, 1, 8, &[y, 2, 0]);
        w.add("outer", 4, 2, 12, &[pad, 1, 0, 0, 3, 32]);
        w.add("", 2, 0, 4, &[]);
        w.add("", 13, 3, 0, &[0, 5, 0, 5, 0, 1]);
        w.add("", 2, 0, 6, &[]);
        w.add("btf_trace_it", 8, 0, 7, &[]);
        w.bytes()
    }

    #[test]
    fn a_member_is_found_through_unnamed_unions() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset("outer", "y.x"), Some(8));
        assert_eq!(btf.offset("inner", "x"), Some(4));
        assert_eq!(btf.offset("outer", "z"), None);
        assert_eq!(btf.offset("nothing", "x"), None);
        assert_eq!(btf.size("outer"), Some(12));
    }

    #[test]
    fn a_tracepoint_tells_what_it_hands_over() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.parameters("it"), Some(vec![Parameter::Pointer, Parameter::Number]));
        assert_eq!(btf.parameters("another"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Btf::parse(&bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(at in 24usize..200, byte: u8, cut in 0usize..220) {
            let mut bytes = sample();
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
            bytes.truncate(cut.max(30));
            if let Some(btf) = Btf::parse(&bytes) {
                let _ = (btf.offset("outer", "y.x"), btf.size("inner"), btf.parameters("it"));
            }
        }
    }
}
