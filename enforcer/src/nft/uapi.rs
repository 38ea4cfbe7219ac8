//! Numbers of the kernel's interface, with their names there: `include/uapi/linux/netlink.h`, `netfilter/nfnetlink.h`,
//! `netfilter/nf_tables.h`, `netfilter/nfnetlink_conntrack.h` and `netfilter/ipset/ip_set.h`.

pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
pub(super) const NLM_F_ECHO: u16 = 0x8;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;
/// `NLM_F_ROOT | NLM_F_MATCH`.
pub(super) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;
/// Of an error message: attributes follow.
pub(super) const NLM_F_ACK_TLVS: u16 = 0x200;
/// Of an error message: only the header of the request follows, not its payload.
pub(super) const NLM_F_CAPPED: u16 = 0x100;

pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const NLMSGERR_ATTR_MSG: u16 = 1;
pub(super) const NLMSGERR_ATTR_OFFS: u16 = 2;

pub(super) const NFNL_SUBSYS_CTNETLINK: u16 = 1;
pub(super) const NFNL_SUBSYS_NFTABLES: u16 = 10;
pub(super) const NFNL_MSG_BATCH_BEGIN: u16 = 16;
pub(super) const NFNL_MSG_BATCH_END: u16 = 17;
pub(super) const NFNL_BATCH_GENID: u16 = 1;
pub(super) const NFNLGRP_NFTABLES: u32 = 7;

pub(super) const NFPROTO_UNSPEC: u8 = 0;
pub(super) const NFPROTO_INET: u8 = 1;
pub(super) const NFPROTO_IPV4: u8 = 2;
pub(super) const NFPROTO_BRIDGE: u8 = 7;
pub(super) const NFPROTO_IPV6: u8 = 10;

/// Messages of nf_tables, with the subsystem in the upper byte.
pub(super) mod message {
    use super::NFNL_SUBSYS_NFTABLES;

    const fn nft(number: u16) -> u16 {
        NFNL_SUBSYS_NFTABLES << 8 | number
    }
    pub(in crate::nft) const NEWTABLE: u16 = nft(0);
    pub(in crate::nft) const GETTABLE: u16 = nft(1);
    pub(in crate::nft) const DELTABLE: u16 = nft(2);
    pub(in crate::nft) const NEWCHAIN: u16 = nft(3);
    pub(in crate::nft) const GETCHAIN: u16 = nft(4);
    pub(in crate::nft) const DELCHAIN: u16 = nft(5);
    pub(in crate::nft) const NEWRULE: u16 = nft(6);
    pub(in crate::nft) const GETRULE: u16 = nft(7);
    pub(in crate::nft) const DELRULE: u16 = nft(8);
    pub(in crate::nft) const NEWSET: u16 = nft(9);
    pub(in crate::nft) const GETSET: u16 = nft(10);
    pub(in crate::nft) const DELSET: u16 = nft(11);
    pub(in crate::nft) const NEWSETELEM: u16 = nft(12);
    pub(in crate::nft) const GETSETELEM: u16 = nft(13);
    pub(in crate::nft) const DELSETELEM: u16 = nft(14);
    pub(in crate::nft) const NEWGEN: u16 = nft(15);
    pub(in crate::nft) const GETGEN: u16 = nft(16);
    pub(in crate::nft) const NEWOBJ: u16 = nft(18);
    pub(in crate::nft) const GETOBJ: u16 = nft(19);
    pub(in crate::nft) const DELOBJ: u16 = nft(20);
    pub(in crate::nft) const NEWFLOWTABLE: u16 = nft(22);
    pub(in crate::nft) const GETFLOWTABLE: u16 = nft(23);
}

/// In every message about an object of a table, the table's name (`NFTA_CHAIN_TABLE`, `NFTA_SET_TABLE`, …).
pub(super) const NFTA_TABLE: u16 = 1;
/// In messages about chains, sets, objects and flowtables, their name.
pub(super) const NFTA_NAME: u16 = 2;

pub(super) const NFTA_TABLE_FLAGS: u16 = 2;

pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_CHAIN_FLAGS: u16 = 10;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(super) const NFTA_HOOK_DEV: u16 = 3;
pub(super) const NFTA_HOOK_DEVS: u16 = 4;
pub(super) const NFT_CHAIN_BASE: u32 = 1;
pub(super) const NF_ACCEPT: u32 = 1;
pub(super) const NF_DROP: u32 = 0;

pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
/// Of an expression that stands for a target of iptables, the target's name.
pub(super) const NFTA_TARGET_NAME: u16 = 1;

pub(super) const NFTA_SET_FLAGS: u16 = 3;
pub(super) const NFTA_SET_KEY_TYPE: u16 = 4;
pub(super) const NFTA_SET_KEY_LEN: u16 = 5;
pub(super) const NFTA_SET_DATA_TYPE: u16 = 6;
pub(super) const NFTA_SET_DESC: u16 = 9;
pub(super) const NFTA_SET_TIMEOUT: u16 = 11;
pub(super) const NFTA_SET_EXPR: u16 = 17;
pub(super) const NFTA_SET_EXPRESSIONS: u16 = 18;
pub(super) const NFTA_SET_DESC_SIZE: u16 = 1;
pub(super) const NFT_SET_INTERVAL: u32 = 0x4;
pub(super) const NFT_SET_MAP: u32 = 0x8;
/// Data type of verdict maps (`NFT_DATA_VERDICT`).
pub(super) const NFT_DATA_VERDICT: u32 = 0xffff_ff00;

pub(super) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(super) const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub(super) const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
pub(super) const NFTA_SET_ELEM_USERDATA: u16 = 6;
pub(super) const NFTA_SET_ELEM_EXPR: u16 = 7;
pub(super) const NFTA_SET_ELEM_OBJREF: u16 = 9;
pub(super) const NFTA_SET_ELEM_KEY_END: u16 = 10;
pub(super) const NFTA_SET_ELEM_EXPRESSIONS: u16 = 11;
pub(super) const NFT_SET_ELEM_INTERVAL_END: u32 = 0x1;

pub(super) const NFTA_IMMEDIATE_DATA: u16 = 2;
pub(super) const NFTA_DATA_VALUE: u16 = 1;
pub(super) const NFTA_DATA_VERDICT: u16 = 2;
pub(super) const NFTA_VERDICT_CODE: u16 = 1;
pub(super) const NFTA_VERDICT_CHAIN: u16 = 2;
pub(super) const NFT_JUMP: i32 = -3;
pub(super) const NFT_GOTO: i32 = -4;
pub(super) const NFT_RETURN: i32 = -5;

pub(super) const NFTA_OBJ_TYPE: u16 = 3;
pub(super) const NFTA_OBJ_DATA: u16 = 4;
pub(super) const NFT_OBJECT_COUNTER: u32 = 1;
pub(super) const NFTA_COUNTER_BYTES: u16 = 1;
pub(super) const NFTA_COUNTER_PACKETS: u16 = 2;

pub(super) const NFTA_GEN_ID: u16 = 1;
pub(super) const NFTA_GEN_PROC_PID: u16 = 2;
pub(super) const NFTA_GEN_PROC_NAME: u16 = 3;

pub(super) const NFT_PAYLOAD_LL_HEADER: u32 = 0;
pub(super) const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
pub(super) const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;

pub(super) const NFT_META_PROTOCOL: u32 = 1;
pub(super) const NFT_META_IIF: u32 = 4;
pub(super) const NFT_META_OIF: u32 = 5;
pub(super) const NFT_META_IIFNAME: u32 = 6;
pub(super) const NFT_META_OIFNAME: u32 = 7;
pub(super) const NFT_META_NFPROTO: u32 = 15;
pub(super) const NFT_META_L4PROTO: u32 = 16;
pub(super) const NFT_META_PKTTYPE: u32 = 19;
pub(super) const NFT_CT_STATE: u32 = 0;
pub(super) const NFT_CT_DIRECTION: u32 = 1;

pub(super) const NFT_CMP_EQ: u32 = 0;
pub(super) const NFT_CMP_NEQ: u32 = 1;
pub(super) const NFT_CMP_LTE: u32 = 3;
pub(super) const NFT_CMP_GTE: u32 = 5;

pub(super) const IPCTNL_MSG_CT_GET: u16 = NFNL_SUBSYS_CTNETLINK << 8 | 1;
pub(super) const IPCTNL_MSG_CT_DELETE: u16 = NFNL_SUBSYS_CTNETLINK << 8 | 2;
pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_ID: u16 = 12;
pub(super) const CTA_ZONE: u16 = 18;
pub(super) const CTA_TUPLE_IP: u16 = 1;
pub(super) const CTA_TUPLE_PROTO: u16 = 2;
pub(super) const CTA_PROTO_NUM: u16 = 1;
pub(super) const CTA_PROTO_SRC_PORT: u16 = 2;
pub(super) const CTA_PROTO_DST_PORT: u16 = 3;
pub(super) const CTA_IP_V4_SRC: u16 = 1;
pub(super) const CTA_IP_V4_DST: u16 = 2;
pub(super) const CTA_IP_V6_SRC: u16 = 3;
pub(super) const CTA_IP_V6_DST: u16 = 4;

const NFNL_SUBSYS_IPSET: u16 = 6;
pub(super) const IPSET_CMD_DESTROY: u16 = NFNL_SUBSYS_IPSET << 8 | 3;
pub(super) const IPSET_CMD_LIST: u16 = NFNL_SUBSYS_IPSET << 8 | 7;
pub(super) const IPSET_ATTR_PROTOCOL: u16 = 1;
pub(super) const IPSET_ATTR_SETNAME: u16 = 2;
pub(super) const IPSET_ATTR_FLAGS: u16 = 6;
pub(super) const IPSET_FLAG_LIST_SETNAME: u32 = 1 << 1;
pub(super) const IPSET_ERR_BUSY: i32 = 4100;
/// Set on the type of an attribute in network order (`NLA_F_NET_BYTEORDER`); ipset insists on it.
pub(super) const NET_BYTEORDER: u16 = 0x4000;
