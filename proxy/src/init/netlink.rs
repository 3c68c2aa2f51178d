//! Netlink messages to nf_tables: builds one batch, sends it, and reads the kernel's verdict.

use std::os::fd::AsRawFd;

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket},
};

/// `NLMSG_ERROR` of `linux/netlink.h`: an error, or with the number 0 an acknowledgement.
const MESSAGE_ERROR: u16 = 0x2;
/// `NFNL_MSG_BATCH_BEGIN` of `linux/netfilter/nfnetlink.h`.
const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END` of `linux/netfilter/nfnetlink.h`.
const BATCH_END: u16 = 0x11;
/// `NFNL_SUBSYS_NFTABLES` of `linux/netfilter/nfnetlink.h`.
const SUBSYSTEM_NFTABLES: u16 = 10;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK` of `linux/netlink.h`.
const ACKNOWLEDGE: u16 = 0x4;
/// `NLM_F_CREATE` of `linux/netlink.h`: make what is not there.
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND` of `linux/netlink.h`: behind what is there.
pub(super) const APPEND: u16 = 0x800;
/// `NLA_F_NESTED` of `linux/netlink.h`: the attribute holds attributes.
const NESTED: u16 = 0x8000;
/// Every header, message and attribute starts at a multiple of this: `NLMSG_ALIGNTO` and `NLA_ALIGNTO` of `linux/netlink.h`.
const ALIGNMENT: usize = 4;
/// Length of `struct nlmsghdr` of `linux/netlink.h`.
const HEADER_BYTES: usize = 16;
/// Offset of `nlmsg_flags` in `struct nlmsghdr`.
const FLAGS_OFFSET: usize = 6;
/// Holds any number of verdicts, each of which carries the message it is about.
const REPLY_BYTES: usize = 64 * 1024;

/// Why a batch did not take effect. Nothing of it did then.
pub(super) enum NetlinkError {
    Open(Errno),
    Send {
        bytes: usize,
        errno: Errno,
    },
    Receive(Errno),
    Unacknowledged,
    /// `step` says what, as it was given to [`Batch::push`].
    Refused {
        step: String,
        errno: Errno,
    },
}

/// Messages that the kernel carries out together or not at all.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// What each message does, in words; the index is its sequence number.
    steps: Vec<String>,
    /// Where the latest message starts.
    latest: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self { bytes: Vec::new(), steps: Vec::new(), latest: 0 };
        // The resource of a batch is the subsystem that it is for.
        batch.write(BATCH_BEGIN, 0, 0, SUBSYSTEM_NFTABLES, "to change the rules".to_owned(), |_| {});
        batch
    }

    /// Adds a message of nf_tables. `step` says what it does, for the error that the kernel may answer with.
    pub(super) fn push(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        step: String,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.write(SUBSYSTEM_NFTABLES << 8 | kind, flags, family, 0, step, attributes);
    }

    fn write(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        step: String,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.latest = start;
        let sequence = self.steps.len() as u32;
        self.steps.push(step);
        // struct nlmsghdr: length (filled in below), type, flags, sequence number, port (0: the kernel's choice).
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&0_u32.to_ne_bytes());
        // struct nfgenmsg of linux/netfilter/nfnetlink.h: family, version (NFNETLINK_V0), resource in network order.
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        attributes(&mut Attributes { bytes: &mut self.bytes });
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Sends the batch and waits until it is in effect.
    pub(super) fn commit(mut self) -> Result<(), NetlinkError> {
        // An acknowledgement of each message could overflow the socket's queue, and older kernels acknowledge no end of a
        // batch: the last message before the end speaks for all.
        let flags = self.latest + FLAGS_OFFSET;
        let [low, high] = [self.bytes[flags], self.bytes[flags + 1]];
        let acknowledged = u16::from_ne_bytes([low, high]) | ACKNOWLEDGE;
        self.bytes[flags..flags + 2].copy_from_slice(&acknowledged.to_ne_bytes());
        self.write(BATCH_END, 0, 0, SUBSYSTEM_NFTABLES, "the end of the batch".to_owned(), |_| {});

        let netlink =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
                .map_err(NetlinkError::Open)?;
        let kernel = NetlinkAddr::new(0, 0);
        sendto(netlink.as_raw_fd(), &self.bytes, &kernel, MsgFlags::empty())
            .map_err(|errno| NetlinkError::Send { bytes: self.bytes.len(), errno })?;

        let mut acknowledged = false;
        let mut reply = vec![0; REPLY_BYTES];
        loop {
            // The kernel works in the sender's context: when sending returns, every verdict is queued.
            let length = match recv(netlink.as_raw_fd(), &mut reply, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(length) => length,
                Err(errno) => return Err(NetlinkError::Receive(errno)),
            };
            for verdict in Verdicts(&reply[..length]) {
                if verdict.error != 0 {
                    let step = self.steps.get(verdict.sequence as usize).cloned();
                    return Err(NetlinkError::Refused {
                        step: step.unwrap_or_else(|| "to change the rules".to_owned()),
                        errno: Errno::from_raw(verdict.error),
                    });
                }
                acknowledged = true;
            }
        }
        if acknowledged { Ok(()) } else { Err(NetlinkError::Unacknowledged) }
    }
}

/// Writes attributes, each of them a length, a kind and a value.
pub(super) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    /// An attribute whose value is these bytes.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |bytes| bytes.extend_from_slice(value));
    }

    /// An attribute whose value is a text, which the kernel wants to end with a zero byte.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |bytes| {
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        });
    }

    /// An attribute whose value is a number in network order, as nf_tables has all of its own.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// An attribute whose value is attributes.
    pub(super) fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind | NESTED, |bytes| inner(&mut Attributes { bytes }));
    }

    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0_u16.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        value(self.bytes);
        // The length leaves the padding out. The longest attribute is a rule of a few hundred bytes.
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

/// What the kernel says of one message.
struct Verdict {
    sequence: u32,
    /// A positive error number, or 0.
    error: i32,
}

/// The verdicts in a reply.
struct Verdicts<'a>(&'a [u8]);

impl Iterator for Verdicts<'_> {
    type Item = Verdict;

    fn next(&mut self) -> Option<Verdict> {
        loop {
            let header = self.0.get(..HEADER_BYTES)?;
            let length = u32::from_ne_bytes(header[0..4].try_into().ok()?) as usize;
            let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
            let sequence = u32::from_ne_bytes(header[8..12].try_into().ok()?);
            let error = self.0.get(HEADER_BYTES..HEADER_BYTES + 4);
            let error = error.and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
            let next = length.max(HEADER_BYTES).next_multiple_of(ALIGNMENT).min(self.0.len());
            self.0 = &self.0[next..];
            if let (MESSAGE_ERROR, Some(error)) = (kind, error) {
                return Some(Verdict { sequence, error: error.saturating_neg() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_count_their_own_length() {
        let mut bytes = Vec::new();
        let mut attributes = Attributes { bytes: &mut bytes };
        attributes.nested(4, |inner| {
            inner.text(1, "nat");
            inner.bytes(2, &[7]);
        });
        let want: Vec<u8> = [
            &20_u16.to_ne_bytes()[..],
            &0x8004_u16.to_ne_bytes(),
            &8_u16.to_ne_bytes(),
            &1_u16.to_ne_bytes(),
            b"nat\0",
            &5_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[7, 0, 0, 0],
        ]
        .concat();
        assert_eq!(bytes, want);
    }

    #[test]
    fn verdicts_are_read_from_replies() {
        let message = |kind: u16, sequence: u32, body: &[u8]| {
            [
                &(16 + body.len() as u32).to_ne_bytes()[..],
                &kind.to_ne_bytes(),
                &0_u16.to_ne_bytes(),
                &sequence.to_ne_bytes(),
                &0_u32.to_ne_bytes(),
                body,
            ]
            .concat()
        };
        let refused = message(MESSAGE_ERROR, 3, &(-1_i32).to_ne_bytes());
        let accepted = message(MESSAGE_ERROR, 9, &0_i32.to_ne_bytes());
        let other = message(0xA00, 1, &[0; 8]);
        for (name, reply, want) in [
            ("nothing", vec![], vec![]),
            ("a refusal", refused.clone(), vec![(3, 1)]),
            ("an acknowledgement", accepted.clone(), vec![(9, 0)]),
            ("a message of another kind between", [refused.clone(), other, accepted].concat(), vec![(3, 1), (9, 0)]),
            ("cut in the header", refused[..10].to_vec(), vec![]),
            ("cut in the number", refused[..18].to_vec(), vec![]),
            ("a length of zero", [vec![0; 4], refused[4..].to_vec()].concat(), vec![(3, 1)]),
        ] {
            let read: Vec<_> = Verdicts(&reply).map(|verdict| (verdict.sequence, verdict.error)).collect();
            assert_eq!(read, want, "{name}");
        }
    }
}
