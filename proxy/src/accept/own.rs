//! Which addresses are the pod's own.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{PoisonError, RwLock},
};

/// The pod's own addresses, as far as anybody has asked for them.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses(RwLock<HashSet<IpAddr>>);

impl OwnAddresses {
    /// Whether `ip` is one of them. A pod gets all of its addresses before its containers start, and has few.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&ip) {
            return true;
        }
        let is_one = !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST);
        // The kernel lets nobody have a socket at an address that is not of this network namespace.
        let is_own = is_one && UdpSocket::bind((ip, 0)).is_ok();
        if is_own {
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(ip);
        }
        is_own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_them_from_others() {
        let own = OwnAddresses::default();
        for (name, ip, want) in [
            ("loopback", "127.0.0.1", true),
            ("of an example", "192.0.2.1", false),
            ("of an example of IPv6", "2001:db8::1", false),
            ("none", "0.0.0.0", false),
            ("everybody", "255.255.255.255", false),
            ("a group", "224.0.0.1", false),
        ] {
            for turn in ["first", "second"] {
                assert_eq!(own.contains(ip.parse().unwrap()), want, "{name}, {turn}");
            }
        }
    }
}
