//! The bytes of systemd's private socket. Pure: bytes in, bytes out; any bytes are borne without a panic.
//!
//! There is no bus on it, hence no unique names: systemd stamps its messages with the sender `org.freedesktop.systemd1`,
//! which the D-Bus specification does not allow and zbus refuses. The stamp is replaced in place by a unique name of
//! the same length.

/// What systemd writes as the sender.
const WRITTEN: &[u8] = b"org.freedesktop.systemd1";
/// What is read instead; a unique name, no longer and no shorter.
const READ: &[u8] = b":org.freedesktop.systemd";
/// The fixed part of a message's header, with the length of the fields after it.
const FIXED: usize = 16;
/// The header field SENDER.
const SENDER: u8 = 7;
/// Above this a message is not believed; systemd's largest replies here are some 20 kB.
pub(super) const LONGEST: usize = 16 << 20;

/// What the bytes at the front of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// More bytes are needed.
    Short,
    /// A line of the handshake, of so many bytes with its end.
    Line(usize),
    /// A whole message of so many bytes.
    Message(usize),
    /// No message of a believable length.
    Nonsense,
}

/// Looks at the front of a stream.
pub(super) fn front(bytes: &[u8]) -> Front {
    let Some(first) = bytes.first() else { return Front::Short };
    let Some(order) = Order::of(*first) else {
        return match bytes.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) => Front::Line(at + 2),
            None if bytes.len() > LONGEST => Front::Nonsense,
            None => Front::Short,
        };
    };
    let (Some(body), Some(fields)) = (order.word(bytes, 4), order.word(bytes, 12)) else {
        return Front::Short;
    };
    let length = align(FIXED.saturating_add(fields), 8).saturating_add(body);
    if length > LONGEST {
        return Front::Nonsense;
    }
    if bytes.len() < length { Front::Short } else { Front::Message(length) }
}

/// Gives a whole message of systemd's a sender that zbus accepts; leaves every other message as it is.
pub(super) fn restamp(message: &mut [u8]) {
    if let Some(at) = sender(message)
        && let Some(place) = message.get_mut(at..at + WRITTEN.len())
        && place == WRITTEN
    {
        place.copy_from_slice(READ);
    }
}

/// Where the text of the sender begins.
fn sender(message: &[u8]) -> Option<usize> {
    let order = Order::of(*message.first()?)?;
    let end = FIXED.checked_add(order.word(message, 12)?)?.min(message.len());
    let mut at = FIXED;
    while at < end {
        at = align(at, 8);
        let code = *message.get(at)?;
        // A field's value is a variant: the length of its signature, the signature, a zero.
        if *message.get(at + 1)? != 1 {
            return None;
        }
        let kind = *message.get(at + 2)?;
        at += 4;
        match kind {
            b's' | b'o' => {
                at = align(at, 4);
                let length = order.word(message, at)?;
                at += 4;
                if code == SENDER {
                    return (length == WRITTEN.len()).then_some(at);
                }
                at = at.checked_add(length)?.checked_add(1)?;
            }
            b'g' => at = at.checked_add(usize::from(*message.get(at)?) + 2)?,
            b'u' => at = align(at, 4) + 4,
            _ => return None,
        }
    }
    None
}

fn align(at: usize, to: usize) -> usize {
    at.saturating_add(to - 1) & !(to - 1)
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn of(first: u8) -> Option<Order> {
        match first {
            b'l' => Some(Order::Little),
            b'B' => Some(Order::Big),
            _ => None,
        }
    }

    fn word(self, bytes: &[u8], at: usize) -> Option<usize> {
        let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let word = match self {
            Order::Little => u32::from_le_bytes(word),
            Order::Big => u32::from_be_bytes(word),
        };
        usize::try_from(word).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zbus::{Message, names::UniqueName, wire::Endian};

    use super::*;

    fn signal(order: Endian) -> Vec<u8> {
        let sender = UniqueName::try_from(str::from_utf8(READ).expect("text")).expect("a unique name");
        let message =
            Message::signal("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "UnitNew")
                .endian(order)
                .sender(sender)
                .build(&("a.service", "b"))
                .expect("a signal");
        message.data().to_vec()
    }

    fn written_by_systemd(order: Endian) -> Vec<u8> {
        as_written(signal(order))
    }

    fn as_written(mut bytes: Vec<u8>) -> Vec<u8> {
        let at = bytes.windows(READ.len()).position(|w| w == READ).expect("the sender");
        bytes[at..at + READ.len()].copy_from_slice(WRITTEN);
        bytes
    }

    #[test]
    fn a_message_of_systemd_gets_a_unique_name_as_its_sender() {
        for order in [Endian::Little, Endian::Big] {
            let wanted = signal(order);
            let mut bytes = as_written(wanted.clone());
            assert_ne!(bytes, wanted);
            restamp(&mut bytes);
            assert_eq!(bytes, wanted);
        }
    }

    #[test]
    fn the_same_text_in_a_body_stays() {
        let mut bytes: Vec<u8> = Message::signal("/a", "a.b", "C")
            .build(&"org.freedesktop.systemd1")
            .expect("a signal")
            .data()
            .to_vec();
        let before = bytes.clone();
        restamp(&mut bytes);
        assert_eq!(bytes, before);
    }

    #[test]
    fn the_front_is_a_line_then_messages_and_needs_all_of_their_bytes() {
        let message = written_by_systemd(Endian::Little);
        assert_eq!(front(b"OK 0123\r\nlxx"), Front::Line(9));
        assert_eq!(front(b"OK 01"), Front::Short);
        assert_eq!(front(b""), Front::Short);
        let mut stream = message.clone();
        stream.extend(b"l");
        assert_eq!(front(&stream), Front::Message(message.len()));
        for end in 0..message.len() {
            assert_eq!(front(&message[..end]), Front::Short, "{end} bytes");
        }
        assert_eq!(front(&[b'l', 1, 0, 1, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0]), Front::Nonsense);
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = front(&bytes);
            restamp(&mut bytes);
        }

        #[test]
        fn any_broken_message_is_borne(cut in 0usize..200, at in 0usize..200, byte in any::<u8>()) {
            let mut bytes = written_by_systemd(Endian::Little);
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = front(&bytes);
            restamp(&mut bytes);
        }
    }
}
