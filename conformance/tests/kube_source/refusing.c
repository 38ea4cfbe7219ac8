/* A kernel that refuses sets, for a program that this is preloaded into: while the file of KERNEL_REFUSES is there, every set of
   policy that is sent to nftables, of a name that ends in -x4, has keys longer than any kernel takes. All else is sent as it is,
   and it is the kernel that refuses: what, with which words and to which message, nobody else says. */
#define _GNU_SOURCE
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEWSET (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)

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

static int is_of_policy(struct nlmsghdr *message) {
    struct nlattr *name = attribute(message, NFTA_SET_NAME);
    if (!name || name->nla_len < NLA_HDRLEN + 4) return 0;
    const char *text = (const char *)name + NLA_HDRLEN;
    size_t length = strnlen(text, name->nla_len - NLA_HDRLEN);
    return length > 3 && !memcmp(text + length - 3, "-x4", 3);
}

ssize_t send(int socket, const void *bytes, size_t length, int flags) {
    const char *refuses = getenv("KERNEL_REFUSES");
    int domain = 0;
    socklen_t size = sizeof domain;
    getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    char *copy = domain == AF_NETLINK && refuses && !access(refuses, F_OK) ? malloc(length) : NULL;
    if (copy) {
        memcpy(copy, bytes, length);
        for (size_t at = 0; at + sizeof(struct nlmsghdr) <= length;) {
            struct nlmsghdr *message = (struct nlmsghdr *)(copy + at);
            if (message->nlmsg_len < sizeof *message || at + message->nlmsg_len > length) break;
            if (message->nlmsg_type == NEWSET && is_of_policy(message)) {
                struct nlattr *key = attribute(message, NFTA_SET_KEY_LEN);
                uint32_t longer = htonl(4096);
                if (key) memcpy((char *)key + NLA_HDRLEN, &longer, sizeof longer);
            }
            at += NLMSG_ALIGN(message->nlmsg_len);
        }
    }
    ssize_t sent = syscall(SYS_sendto, socket, copy ? copy : bytes, length, flags, NULL, 0);
    free(copy);
    return sent;
}
