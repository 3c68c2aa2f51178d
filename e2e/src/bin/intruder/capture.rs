//! Listens to the wire.

use std::{
    io::{Read, Write},
    net::IpAddr,
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use e2e::intrusion::Capture;
use nix::{
    errno::Errno,
    sys::{
        socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt},
        time::{TimeVal, TimeValLike},
    },
};

/// The longest packet, and more.
const BUFFER_BYTES: usize = 1 << 17;
/// What may wait to be looked at.
const WAITING_BYTES: usize = 1 << 26;

/// Looks at every packet of every interface until standard input ends, and writes what it found to standard output. A line
/// before says that it has begun.
pub(crate) fn run(marker: &str, pods: &[IpAddr]) -> anyhow::Result<()> {
    // Without the link's header, which bridges and cables of pods have and tunnels do not.
    let wire = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&wire, sockopt::RcvBufForce, &WAITING_BYTES)?;
    setsockopt(&wire, sockopt::ReceiveTimeout, &TimeVal::milliseconds(100))?;
    println!("listening");
    std::io::stdout().flush()?;
    let ended = AtomicBool::new(false);
    let capture = thread::scope(|scope| {
        scope.spawn(|| {
            let read = std::io::stdin().read_to_end(&mut Vec::new());
            ended.store(true, Ordering::Relaxed);
            read
        });
        let (mut capture, mut buffer) = (Capture::default(), vec![0; BUFFER_BYTES]);
        loop {
            // At the end only what waits already is looked at: other pods go on talking.
            let ending = ended.load(Ordering::Relaxed);
            let flags = if ending { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
            match recv(wire.as_raw_fd(), &mut buffer, flags) {
                Ok(length) => capture.look(&buffer[..length], pods, marker.as_bytes()),
                Err(Errno::EAGAIN) if ending => return Ok(capture),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    })?;
    println!("{}", serde_json::to_string(&capture)?);
    Ok(())
}
