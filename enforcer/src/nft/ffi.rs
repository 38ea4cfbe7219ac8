//! libnftnl's objects as owned values. All that is unsafe about it is in this file.
//!
//! libnftnl copies what it is given, checks no lengths, and writes a message without knowing how much room there is. So
//! this file bounds every value ([`NAME`], [`DATA`], [`USERDATA`]) and every list ([`Elements`], [`Rule`]), and
//! [`Scratch`] has room for the largest message that these bounds allow.

use nftnl::nftnl_sys::{
    self as sys,
    libc::{c_char, c_void},
};
use std::{
    alloc::{Layout, handle_alloc_error},
    ffi::CStr,
    ptr::NonNull,
};

/// Bytes of a name, its zero not counted (`NFT_NAME_MAXLEN`).
pub(super) const NAME: usize = 255;
/// Bytes of a key or of a value to compare with (`NFT_DATA_VALUE_MAXLEN`).
pub(super) const DATA: usize = 64;
/// Bytes of an element's or a set's userdata (`NFT_USERDATA_MAXLEN`).
pub(super) const USERDATA: usize = 256;
/// Expressions in a rule (`NFT_RULE_MAXEXPRS`). As an expression is at most 24 bytes of frame, six numbers, two data and
/// one name, the nested attribute around them stays below [`NESTED`].
pub(super) const EXPRESSIONS: usize = 128;
/// Bytes of a nested attribute, whose length has 16 bits.
const NESTED: usize = u16::MAX as usize - 3;

const _: () = assert!(EXPRESSIONS * (24 + 6 * 8 + 2 * (8 + DATA) + 4 + NAME + 1) < NESTED);

fn out_of_memory<T>() -> T {
    handle_alloc_error(Layout::new::<[u64; 8]>())
}

macro_rules! objects {
    ($($(#[$doc:meta])* $Object:ident = $raw:ident, $alloc:ident, $free:ident, $text:ident $(, $number:ident)?;)*) => {$(
        $(#[$doc])*
        pub(super) struct $Object(NonNull<sys::$raw>);

        impl $Object {
            pub(super) fn new() -> Self {
                // SAFETY: it takes nothing and gives a new object that is ours, or null.
                let raw = unsafe { sys::$alloc() };
                Self(NonNull::new(raw).unwrap_or_else(out_of_memory))
            }

            $(
                /// Sets an attribute that is a number of 32 bits.
                pub(super) fn number(self, attribute: u32, value: u32) -> Self {
                    // SAFETY: the object is alive and ours alone; the attribute is one of this object's numbers, as every
                    // caller takes it from the list of this object.
                    unsafe { sys::$number(self.0.as_ptr(), attribute_number(attribute), value) };
                    self
                }
            )?

            /// Sets an attribute that is a string.
            pub(super) fn text(self, attribute: u32, value: &CStr) -> Self {
                // SAFETY: the object is alive and ours alone; the string ends with zero and is copied before the call
                // returns; the attribute is one of this object's strings.
                unsafe { sys::$text(self.0.as_ptr(), attribute_number(attribute), value.as_ptr()) };
                self
            }
        }

        impl Drop for $Object {
            fn drop(&mut self) {
                // SAFETY: the object came from this type's alloc, is freed nowhere else, and no one has it any more.
                unsafe { sys::$free(self.0.as_ptr()) };
            }
        }
    )*};
}

objects! {
    /// A table.
    Table = nftnl_table, nftnl_table_alloc, nftnl_table_free, nftnl_table_set_str;
    /// A chain without its rules.
    Chain = nftnl_chain, nftnl_chain_alloc, nftnl_chain_free, nftnl_chain_set_str, nftnl_chain_set_u32;
    /// A rule.
    RuleObject = nftnl_rule, nftnl_rule_alloc, nftnl_rule_free, nftnl_rule_set_str;
    /// A set or map, or some of its elements.
    Set = nftnl_set, nftnl_set_alloc, nftnl_set_free, nftnl_set_set_str, nftnl_set_set_u32;
    /// A named counter or another stateful object.
    Stateful = nftnl_obj, nftnl_obj_alloc, nftnl_obj_free, nftnl_obj_set_str, nftnl_obj_set_u32;
}

fn attribute_number(attribute: u32) -> u16 {
    u16::try_from(attribute).unwrap_or(u16::MAX)
}

impl Chain {
    /// `NFTNL_CHAIN_PRIO`, which is signed.
    pub(super) fn priority(self, priority: i32) -> Self {
        // SAFETY: the object is alive and ours alone.
        unsafe {
            sys::nftnl_chain_set_s32(self.0.as_ptr(), attribute_number(sys::NFTNL_CHAIN_PRIO), priority)
        };
        self
    }
}

/// A rule with at most [`EXPRESSIONS`].
pub(super) struct Rule {
    rule: RuleObject,
    expressions: usize,
}

impl Rule {
    pub(super) fn new(table: &CStr, chain: &CStr) -> Self {
        let rule = RuleObject::new().text(sys::NFTNL_RULE_TABLE, table).text(sys::NFTNL_RULE_CHAIN, chain);
        Self { rule, expressions: 0 }
    }

    /// One more expression at the end; `false` if there is no room for it.
    pub(super) fn push(&mut self, expression: Expression) -> bool {
        if self.expressions == EXPRESSIONS {
            return false;
        }
        self.expressions += 1;
        // SAFETY: both are alive and ours alone; the rule owns the expression from here on, so it is not dropped.
        unsafe { sys::nftnl_rule_add_expr(self.rule.0.as_ptr(), expression.0.as_ptr()) };
        std::mem::forget(expression);
        true
    }
}

impl Set {
    /// `NFTNL_SET_USERDATA`.
    pub(super) fn userdata(self, bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(USERDATA)];
        // SAFETY: the object is alive and ours alone; the bytes are copied before the call returns.
        let result = unsafe {
            sys::nftnl_set_set_data(
                self.0.as_ptr(),
                attribute_number(sys::NFTNL_SET_USERDATA),
                bytes.as_ptr().cast(),
                length(bytes),
            )
        };
        if result < 0 { out_of_memory() } else { self }
    }
}

/// Elements of a set, as many as fit into one message.
pub(super) struct Elements {
    set: Set,
    bytes: usize,
}

impl Elements {
    pub(super) fn new(table: &CStr, set: &CStr) -> Self {
        let set = Set::new().text(sys::NFTNL_SET_TABLE, table).text(sys::NFTNL_SET_NAME, set);
        Self { set, bytes: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// One more element at the end, or the element back if there is no room for it.
    pub(super) fn push(&mut self, element: Element) -> Option<Element> {
        if self.bytes + element.bytes > NESTED {
            return Some(element);
        }
        self.bytes += element.bytes;
        // SAFETY: both are alive and ours alone; the set owns the element from here on, so it is not dropped.
        unsafe { sys::nftnl_set_elem_add(self.set.0.as_ptr(), element.raw.as_ptr()) };
        std::mem::forget(element);
        None
    }
}

/// An element, with the bytes that it takes at most in a message.
pub(super) struct Element {
    raw: NonNull<sys::nftnl_set_elem>,
    bytes: usize,
}

/// Bytes of an attribute with its header and padding.
const fn attribute_len(value: usize) -> usize {
    4 + value.next_multiple_of(4)
}

impl Element {
    pub(super) fn new(key: &[u8]) -> Self {
        // SAFETY: it takes nothing and gives a new object that is ours, or null.
        let raw = unsafe { sys::nftnl_set_elem_alloc() };
        let element = Self { raw: NonNull::new(raw).unwrap_or_else(out_of_memory), bytes: attribute_len(4) };
        element.data(sys::NFTNL_SET_ELEM_KEY, &key[..key.len().min(DATA)])
    }

    /// `NFTNL_SET_ELEM_FLAGS`.
    pub(super) fn flags(self, flags: u32) -> Self {
        self.number(sys::NFTNL_SET_ELEM_FLAGS, flags)
    }

    /// The verdict of an element of a map, and the chain that it leads to.
    pub(super) fn verdict(self, code: u32, chain: Option<&CStr>) -> Self {
        let mut element = self.number(sys::NFTNL_SET_ELEM_VERDICT, code);
        let Some(chain) = chain else { return element };
        element.bytes += attribute_len(chain.to_bytes_with_nul().len());
        // SAFETY: the object is alive and ours alone; the string ends with zero and is copied before the call returns.
        let result = unsafe {
            let attribute = attribute_number(sys::NFTNL_SET_ELEM_CHAIN);
            sys::nftnl_set_elem_set_str(element.raw.as_ptr(), attribute, chain.as_ptr())
        };
        if result < 0 { out_of_memory() } else { element }
    }

    /// `NFTNL_SET_ELEM_USERDATA`.
    pub(super) fn userdata(self, bytes: &[u8]) -> Self {
        self.data(sys::NFTNL_SET_ELEM_USERDATA, &bytes[..bytes.len().min(USERDATA)])
    }

    fn number(mut self, attribute: u32, value: u32) -> Self {
        // The number, and the two attributes that a verdict is nested in.
        self.bytes += 3 * attribute_len(4);
        // SAFETY: the object is alive and ours alone, and both attributes that come here are numbers of 32 bits.
        unsafe { sys::nftnl_set_elem_set_u32(self.raw.as_ptr(), attribute_number(attribute), value) };
        self
    }

    fn data(mut self, attribute: u32, bytes: &[u8]) -> Self {
        // The bytes, and the attribute that a key is nested in.
        self.bytes += attribute_len(attribute_len(bytes.len()));
        // SAFETY: the object is alive and ours alone; a key fits its 64 bytes, userdata is allocated; both are copied.
        let result = unsafe {
            let data = bytes.as_ptr().cast::<c_void>();
            sys::nftnl_set_elem_set(self.raw.as_ptr(), attribute_number(attribute), data, length(bytes))
        };
        if result < 0 { out_of_memory() } else { self }
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        // SAFETY: the object came from nftnl_set_elem_alloc, and no set owns it, or it would have been forgotten.
        unsafe { sys::nftnl_set_elem_free(self.raw.as_ptr()) };
    }
}

/// An expression of a rule.
pub(super) struct Expression(NonNull<sys::nftnl_expr>);

impl Expression {
    /// By its name in the kernel. The name is one that libnftnl 1.2.4 knows.
    pub(super) fn new(name: &CStr) -> Self {
        // SAFETY: the name ends with zero; the result is a new object that is ours, or null.
        let raw = unsafe { sys::nftnl_expr_alloc(name.as_ptr()) };
        Self(NonNull::new(raw).unwrap_or_else(out_of_memory))
    }

    /// Sets an attribute of 16 bits.
    pub(super) fn short(self, attribute: u32, value: u16) -> Self {
        // SAFETY: the object is alive and ours alone, and the attribute is one of this expression's of 16 bits.
        unsafe { sys::nftnl_expr_set_u16(self.0.as_ptr(), attribute_number(attribute), value) };
        self
    }

    /// Sets an attribute of 32 bits.
    pub(super) fn number(self, attribute: u32, value: u32) -> Self {
        // SAFETY: the object is alive and ours alone, and the attribute is one of this expression's of 32 bits.
        unsafe { sys::nftnl_expr_set_u32(self.0.as_ptr(), attribute_number(attribute), value) };
        self
    }

    /// Sets an attribute of 64 bits.
    pub(super) fn long(self, attribute: u32, value: u64) -> Self {
        // SAFETY: the object is alive and ours alone, and the attribute is one of this expression's of 64 bits.
        unsafe { sys::nftnl_expr_set_u64(self.0.as_ptr(), attribute_number(attribute), value) };
        self
    }

    /// Sets an attribute that is a string.
    pub(super) fn text(self, attribute: u32, value: &CStr) -> Self {
        // SAFETY: the object is alive and ours alone; the string ends with zero and is copied before the call returns.
        let result =
            unsafe { sys::nftnl_expr_set_str(self.0.as_ptr(), attribute_number(attribute), value.as_ptr()) };
        if result < 0 { out_of_memory() } else { self }
    }

    /// Sets an attribute that is data of a register, cut to what registers hold.
    pub(super) fn data(self, attribute: u32, bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(DATA)];
        // SAFETY: the object is alive and ours alone; the bytes fit its 64 and are copied before the call returns.
        let result = unsafe {
            let data = bytes.as_ptr().cast::<c_void>();
            sys::nftnl_expr_set(self.0.as_ptr(), attribute_number(attribute), data, length(bytes))
        };
        if result < 0 { out_of_memory() } else { self }
    }
}

impl Drop for Expression {
    fn drop(&mut self) {
        // SAFETY: the object came from nftnl_expr_alloc, and no rule owns it, or it would have been forgotten.
        unsafe { sys::nftnl_expr_free(self.0.as_ptr()) };
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What becomes the attributes of a message.
pub(super) enum Payload {
    Table(Table),
    Chain(Chain),
    Rule(Rule),
    Set(Set),
    Elements(Elements),
    Stateful(Stateful),
}

/// Room for one message: a nested attribute at its largest, and names and userdata beside it.
pub(super) struct Scratch(Box<[u64; (NESTED + 8192) / 8]>);

impl Scratch {
    pub(super) fn new() -> Self {
        Self(Box::new([0; _]))
    }

    /// The message as bytes, with sequence number 0.
    pub(super) fn message(&mut self, kind: u16, family: u8, flags: u16, payload: &Payload) -> &[u8] {
        let start = self.0.as_mut_ptr();
        // SAFETY: the buffer is aligned for a header and has room for it. The header that comes back is at its start.
        let header =
            unsafe { sys::nftnl_nlmsg_build_hdr(start.cast::<c_char>(), kind, family.into(), flags, 0) };
        // SAFETY: the object is alive, and the buffer behind `header` has room for every object within the bounds of this
        // file. The calls keep neither pointer.
        unsafe {
            match payload {
                Payload::Table(table) => sys::nftnl_table_nlmsg_build_payload(header, table.0.as_ptr()),
                Payload::Chain(chain) => sys::nftnl_chain_nlmsg_build_payload(header, chain.0.as_ptr()),
                Payload::Rule(rule) => sys::nftnl_rule_nlmsg_build_payload(header, rule.rule.0.as_ptr()),
                Payload::Set(set) => sys::nftnl_set_nlmsg_build_payload(header, set.0.as_ptr()),
                Payload::Elements(elements) => {
                    sys::nftnl_set_elems_nlmsg_build_payload(header, elements.set.0.as_ptr());
                }
                Payload::Stateful(object) => sys::nftnl_obj_nlmsg_build_payload(header, object.0.as_ptr()),
            }
        }
        // SAFETY: `header` points to the header written above.
        let len = unsafe { (*header).nlmsg_len } as usize;
        // SAFETY: the buffer is alive and borrowed as long as the result; libnftnl has written `len` bytes of it, and all
        // of it was zero from the beginning.
        unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len.min(size_of_val(&*self.0))) }
    }
}
