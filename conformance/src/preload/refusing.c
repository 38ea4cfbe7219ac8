/* A kernel that refuses what nftables is sent, for a program that this is preloaded into. While the file of KERNEL_REFUSES is
   there, a batch goes out with something in it that no kernel takes. If the file holds a number, that is the so-many-th message
   about anything in a table: it names a table that is not there. If not, it is every set whose name ends in what the file holds:
   its keys are longer than any. All else is sent as it is, and it is the kernel that refuses: what, with which words and to which
   message, nobody else says. */
#define _GNU_SOURCE
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Attribute 1 of every message that says something about what is in a table. */
#define TABLE 1

static struct nlattr *attribute(struct nlmsghdr *message, int kind) {
    char *at = (char *)message + NLMSG_LENGTH(sizeof(struct nfgenmsg)), *end = (char *)message + message->nlmsg_len;
    while (at + NLA_HDRLEN <= end) {
        struct nlattr *found = (struct nlattr *)at;
        if ((found->nla_type & NLA_TYPE_MASK) == kind) return found;
        if (found->nla_len < NLA_HDRLEN) break;
        at += NLA_ALIGN(found->nla_len);
    }
    return NULL;
}

static int is_in_a_table(struct nlmsghdr *message) {
    if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return 0;
    switch (message->nlmsg_type & 0xff) {
    case NFT_MSG_NEWCHAIN: case NFT_MSG_DELCHAIN: case NFT_MSG_NEWRULE: case NFT_MSG_DELRULE: case NFT_MSG_NEWSET:
    case NFT_MSG_DELSET: case NFT_MSG_NEWSETELEM: case NFT_MSG_DELSETELEM: case NFT_MSG_NEWOBJ: case NFT_MSG_DELOBJ:
        return 1;
    default:
        return 0;
    }
}

static int is_set_that_ends_in(struct nlmsghdr *message, const char *wanted) {
    if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)) return 0;
    struct nlattr *name = attribute(message, NFTA_SET_NAME);
    if (!name) return 0;
    const char *text = (const char *)name + NLA_HDRLEN;
    size_t length = strnlen(text, name->nla_len - NLA_HDRLEN), end = strlen(wanted);
    return length > end && !memcmp(text + length - end, wanted, end);
}

/* What the file holds; 0 if it is not there or empty. */
static int refuses(char *text, size_t room) {
    const char *path = getenv("KERNEL_REFUSES");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t length = read(file, text, room - 1);
    close(file);
    text[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static void spoil(char *batch, size_t length, const char *what) {
    char *rest;
    long place = strtol(what, &rest, 10);
    int is_place = !*rest;
    for (size_t at = 0; at + sizeof(struct nlmsghdr) <= length;) {
        struct nlmsghdr *message = (struct nlmsghdr *)(batch + at);
        if (message->nlmsg_len < sizeof *message || at + message->nlmsg_len > length) break;
        if (is_place && is_in_a_table(message) && place-- == 0) {
            struct nlattr *table = attribute(message, TABLE);
            if (table && table->nla_len > NLA_HDRLEN) *((char *)table + NLA_HDRLEN) ^= 1;
        }
        if (!is_place && is_set_that_ends_in(message, what)) {
            struct nlattr *key = attribute(message, NFTA_SET_KEY_LEN);
            uint32_t longer = htonl(4096);
            if (key) memcpy((char *)key + NLA_HDRLEN, &longer, sizeof longer);
        }
        at += NLMSG_ALIGN(message->nlmsg_len);
    }
}

ssize_t send(int socket, const void *bytes, size_t length, int flags) {
    char what[64];
    int domain = 0;
    socklen_t size = sizeof domain;
    getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    char *copy = domain == AF_NETLINK && refuses(what, sizeof what) ? malloc(length) : NULL;
    if (copy) {
        memcpy(copy, bytes, length);
        spoil(copy, length, what);
    }
    ssize_t sent = syscall(SYS_sendto, socket, copy ? copy : bytes, length, flags, NULL, 0);
    free(copy);
    return sent;
}
