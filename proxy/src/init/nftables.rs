//! Tables, chains and rules as nf_tables wants to have them in netlink attributes.
//!
//! Written here and not taken from a crate: those that exist bring libnftnl or libclang into the build, or a licence that
//! Weft's does not allow.

use super::{
    netlink::{APPEND, Attributes, Batch, CREATE},
    rules::{Action, Chain, Direction, Family, Hook, Match, Rule},
};

/// Numbers of `linux/netfilter/nf_tables.h`, under the names they have there.
mod header {
    pub(super) const NFT_MSG_NEWTABLE: u16 = 0;
    pub(super) const NFT_MSG_DELTABLE: u16 = 2;
    pub(super) const NFT_MSG_NEWCHAIN: u16 = 3;
    pub(super) const NFT_MSG_NEWRULE: u16 = 6;

    pub(super) const NFTA_TABLE_NAME: u16 = 1;

    pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
    pub(super) const NFTA_CHAIN_NAME: u16 = 3;
    pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
    pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
    pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
    pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
    pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;

    pub(super) const NFTA_RULE_TABLE: u16 = 1;
    pub(super) const NFTA_RULE_CHAIN: u16 = 2;
    pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
    pub(super) const NFTA_LIST_ELEM: u16 = 1;
    pub(super) const NFTA_EXPR_NAME: u16 = 1;
    pub(super) const NFTA_EXPR_DATA: u16 = 2;

    pub(super) const NFT_REG_VERDICT: u32 = 0;
    pub(super) const NFT_REG_1: u32 = 1;
    pub(super) const NFT_RETURN: i32 = -5;

    pub(super) const NFTA_DATA_VALUE: u16 = 1;
    pub(super) const NFTA_DATA_VERDICT: u16 = 2;
    pub(super) const NFTA_VERDICT_CODE: u16 = 1;

    pub(super) const NFTA_META_DREG: u16 = 1;
    pub(super) const NFTA_META_KEY: u16 = 2;
    pub(super) const NFT_META_IIFTYPE: u32 = 8;
    pub(super) const NFT_META_OIFTYPE: u32 = 9;
    pub(super) const NFT_META_SKUID: u32 = 10;
    pub(super) const NFT_META_L4PROTO: u32 = 16;

    pub(super) const NFTA_PAYLOAD_DREG: u16 = 1;
    pub(super) const NFTA_PAYLOAD_BASE: u16 = 2;
    pub(super) const NFTA_PAYLOAD_OFFSET: u16 = 3;
    pub(super) const NFTA_PAYLOAD_LEN: u16 = 4;
    pub(super) const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
    pub(super) const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;

    pub(super) const NFTA_BITWISE_SREG: u16 = 1;
    pub(super) const NFTA_BITWISE_DREG: u16 = 2;
    pub(super) const NFTA_BITWISE_LEN: u16 = 3;
    pub(super) const NFTA_BITWISE_MASK: u16 = 4;
    pub(super) const NFTA_BITWISE_XOR: u16 = 5;

    pub(super) const NFTA_CMP_SREG: u16 = 1;
    pub(super) const NFTA_CMP_OP: u16 = 2;
    pub(super) const NFTA_CMP_DATA: u16 = 3;
    pub(super) const NFT_CMP_EQ: u32 = 0;

    pub(super) const NFTA_IMMEDIATE_DREG: u16 = 1;
    pub(super) const NFTA_IMMEDIATE_DATA: u16 = 2;

    pub(super) const NFTA_REDIR_REG_PROTO_MIN: u16 = 1;
}
use header::*;

/// `NFPROTO_IPV4` of `linux/netfilter.h`.
const FAMILY_IPV4: u8 = 2;
/// `NFPROTO_IPV6` of `linux/netfilter.h`.
const FAMILY_IPV6: u8 = 10;
/// `NF_INET_PRE_ROUTING` of `linux/netfilter.h`.
const HOOK_PREROUTING: u32 = 0;
/// `NF_INET_LOCAL_OUT` of `linux/netfilter.h`.
const HOOK_OUTPUT: u32 = 3;
/// `NF_ACCEPT` of `linux/netfilter.h`.
const ACCEPT: u32 = 1;
/// `NF_IP_PRI_NAT_DST` of `linux/netfilter_ipv4.h`, and its equal in `linux/netfilter_ipv6.h`.
const PRIORITY_NAT_DESTINATION: i32 = -100;
/// `ARPHRD_LOOPBACK` of `linux/if_arp.h`.
const LOOPBACK: u16 = 772;
/// `IPPROTO_TCP` of `linux/in.h`.
const TCP: u8 = 6;
/// Offset of the destination port in `struct tcphdr` of `linux/tcp.h`.
const PORT_OFFSET: u32 = 2;
/// Offset of the destination address in `struct iphdr` of `linux/ip.h`.
const ADDRESS_OFFSET_IPV4: u32 = 16;
/// Offset of the destination address in `struct ipv6hdr` of `linux/ipv6.h`.
const ADDRESS_OFFSET_IPV6: u32 = 24;

/// A batch that makes `table` hold these chains and nothing else, whether or not it was there.
pub(super) fn replace_table(family: Family, table: &str, chains: &[Chain]) -> Batch {
    let number = match family {
        Family::Ipv4 => FAMILY_IPV4,
        Family::Ipv6 => FAMILY_IPV6,
    };
    let mut batch = Batch::new();
    let named = |attributes: &mut Attributes<'_>| attributes.text(NFTA_TABLE_NAME, table);
    // Only a table that exists can be deleted, and one that exists may be added again.
    batch.push(NFT_MSG_NEWTABLE, CREATE, number, format!("to add the table {family} {table}"), named);
    batch.push(NFT_MSG_DELTABLE, 0, number, format!("to empty the table {family} {table}"), named);
    batch.push(NFT_MSG_NEWTABLE, CREATE, number, format!("to add the table {family} {table}"), named);
    for chain in chains {
        let step = format!("to add the nat chain {chain} to the table {family} {table}");
        batch.push(NFT_MSG_NEWCHAIN, CREATE, number, step, |attributes| write_chain(attributes, table, chain.hook));
        for rule in &chain.rules {
            let step = format!("to add the rule `{rule}` to the chain {chain} of the table {family} {table}");
            batch.push(NFT_MSG_NEWRULE, CREATE | APPEND, number, step, |attributes| {
                attributes.text(NFTA_RULE_TABLE, table);
                attributes.text(NFTA_RULE_CHAIN, chain.hook.name());
                attributes.nested(NFTA_RULE_EXPRESSIONS, |expressions| write_rule(expressions, rule));
            });
        }
    }
    batch
}

fn write_chain(attributes: &mut Attributes<'_>, table: &str, hook: Hook) {
    attributes.text(NFTA_CHAIN_TABLE, table);
    attributes.text(NFTA_CHAIN_NAME, hook.name());
    attributes.nested(NFTA_CHAIN_HOOK, |place| {
        place.number(
            NFTA_HOOK_HOOKNUM,
            match hook {
                Hook::Output => HOOK_OUTPUT,
                Hook::Prerouting => HOOK_PREROUTING,
            },
        );
        place.bytes(NFTA_HOOK_PRIORITY, &PRIORITY_NAT_DESTINATION.to_be_bytes());
    });
    attributes.number(NFTA_CHAIN_POLICY, ACCEPT);
    attributes.text(NFTA_CHAIN_TYPE, "nat");
}

fn write_rule(expressions: &mut Attributes<'_>, rule: &Rule) {
    for condition in &rule.conditions {
        write_match(expressions, condition);
    }
    match rule.action {
        Action::Return => expression(expressions, "immediate", |data| {
            data.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
            data.nested(NFTA_IMMEDIATE_DATA, |value| {
                value.nested(NFTA_DATA_VERDICT, |verdict| {
                    verdict.bytes(NFTA_VERDICT_CODE, &NFT_RETURN.to_be_bytes());
                });
            });
        }),
        Action::Redirect(port) => {
            expression(expressions, "immediate", |data| {
                data.number(NFTA_IMMEDIATE_DREG, NFT_REG_1);
                data.nested(NFTA_IMMEDIATE_DATA, |value| value.bytes(NFTA_DATA_VALUE, &port.get().to_be_bytes()));
            });
            expression(expressions, "redir", |data| data.number(NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1));
        }
    }
}

/// A condition loads something into a register and compares it.
fn write_match(expressions: &mut Attributes<'_>, condition: &Match) {
    match condition {
        Match::Tcp => {
            load_meta(expressions, NFT_META_L4PROTO);
            compare(expressions, &[TCP]);
        }
        // The kernel holds user ids and kinds of interfaces in its own byte order.
        Match::SocketUser(user) => {
            load_meta(expressions, NFT_META_SKUID);
            compare(expressions, &user.to_ne_bytes());
        }
        Match::Loopback(direction) => {
            load_meta(
                expressions,
                match direction {
                    Direction::In => NFT_META_IIFTYPE,
                    Direction::Out => NFT_META_OIFTYPE,
                },
            );
            compare(expressions, &LOOPBACK.to_ne_bytes());
        }
        Match::TcpPort(port) => {
            write_match(expressions, &Match::Tcp);
            load_payload(expressions, NFT_PAYLOAD_TRANSPORT_HEADER, PORT_OFFSET, size_of::<u16>());
            compare(expressions, &port.get().to_be_bytes());
        }
        Match::DestinationIpv4(network) => {
            let (address, mask) = (network.network().octets(), network.netmask().octets());
            load_payload(expressions, NFT_PAYLOAD_NETWORK_HEADER, ADDRESS_OFFSET_IPV4, address.len());
            mask_register(expressions, &mask);
            compare(expressions, &address);
        }
        Match::DestinationIpv6(network) => {
            let (address, mask) = (network.network().octets(), network.netmask().octets());
            load_payload(expressions, NFT_PAYLOAD_NETWORK_HEADER, ADDRESS_OFFSET_IPV6, address.len());
            mask_register(expressions, &mask);
            compare(expressions, &address);
        }
    }
}

fn expression(expressions: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    expressions.nested(NFTA_LIST_ELEM, |element| {
        element.text(NFTA_EXPR_NAME, name);
        element.nested(NFTA_EXPR_DATA, data);
    });
}

fn load_meta(expressions: &mut Attributes<'_>, key: u32) {
    expression(expressions, "meta", |data| {
        data.number(NFTA_META_DREG, NFT_REG_1);
        data.number(NFTA_META_KEY, key);
    });
}

fn load_payload(expressions: &mut Attributes<'_>, base: u32, offset: u32, length: usize) {
    expression(expressions, "payload", |data| {
        data.number(NFTA_PAYLOAD_DREG, NFT_REG_1);
        data.number(NFTA_PAYLOAD_BASE, base);
        data.number(NFTA_PAYLOAD_OFFSET, offset);
        data.number(NFTA_PAYLOAD_LEN, length as u32);
    });
}

fn mask_register(expressions: &mut Attributes<'_>, mask: &[u8]) {
    expression(expressions, "bitwise", |data| {
        data.number(NFTA_BITWISE_SREG, NFT_REG_1);
        data.number(NFTA_BITWISE_DREG, NFT_REG_1);
        data.number(NFTA_BITWISE_LEN, mask.len() as u32);
        data.nested(NFTA_BITWISE_MASK, |value| value.bytes(NFTA_DATA_VALUE, mask));
        data.nested(NFTA_BITWISE_XOR, |value| value.bytes(NFTA_DATA_VALUE, &vec![0; mask.len()]));
    });
}

fn compare(expressions: &mut Attributes<'_>, value: &[u8]) {
    expression(expressions, "cmp", |data| {
        data.number(NFTA_CMP_SREG, NFT_REG_1);
        data.number(NFTA_CMP_OP, NFT_CMP_EQ);
        data.nested(NFTA_CMP_DATA, |wanted| wanted.bytes(NFTA_DATA_VALUE, value));
    });
}
