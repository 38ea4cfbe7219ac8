//! The ranges of one address family: one sweep over two sorted lists makes every set operation.

use crate::portset::PortSet;

/// The ports of an inclusive range of addresses, which are numbers here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) lo: u128,
    pub(super) hi: u128,
    pub(super) ports: PortSet,
}

/// Sorted, disjoint spans without empty ports, and without neighbours that could be one span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    pub(super) fn one(lo: u128, hi: u128, ports: PortSet) -> Self {
        let mut spans = Self::default();
        spans.push(Span { lo, hi, ports });
        spans
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Span> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports of one address.
    pub(super) fn at(&self, address: u128) -> Option<&PortSet> {
        let after = self.0.partition_point(|span| span.lo <= address);
        let span = &self.0[after.checked_sub(1)?];
        (address <= span.hi).then_some(&span.ports)
    }

    /// The union of spans in any order.
    pub(super) fn union_of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| span.lo <= span.hi);
        spans.sort_unstable_by_key(|span| (span.lo, span.hi));
        // Most inputs are single addresses, some of them often: these become one span before anything is swept.
        spans.dedup_by(|next, kept| {
            let same = (next.lo, next.hi) == (kept.lo, kept.hi);
            if same {
                kept.ports = kept.ports.union(&next.ports);
            }
            same
        });
        if spans.windows(2).all(|pair| pair[0].hi < pair[1].lo) {
            let mut disjoint = Self::default();
            spans.into_iter().for_each(|span| disjoint.push(span));
            return disjoint;
        }
        let upper = spans.split_off(spans.len() / 2);
        Self::union_of(spans).combine(&Self::union_of(upper), PortSet::union)
    }

    /// `op` of the ports at every address. `op` of two empty sets must be empty.
    pub(super) fn combine(&self, other: &Self, op: fn(&PortSet, &PortSet) -> PortSet) -> Self {
        let mut result = Self::default();
        for (lo, hi, a, b) in Sweep::new(self, other) {
            result.push(Span { lo, hi, ports: op(a, b) });
        }
        result
    }

    /// The ranges on which the two differ, each as large as they differ in one way: first and last address, ports of `self`,
    /// ports of `other`.
    pub(super) fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (u128, u128, &'a PortSet, &'a PortSet)> {
        let mut segments = Sweep::new(self, other).filter(|(_, _, a, b)| a != b).peekable();
        std::iter::from_fn(move || {
            let (lo, mut hi, this, that) = segments.next()?;
            let goes_on = |(next, _, a, b): &(u128, u128, &PortSet, &PortSet), hi: u128| {
                *next == hi + 1 && (*a, *b) == (this, that)
            };
            while let Some((_, end, ..)) = segments.next_if(|next| goes_on(next, hi)) {
                hi = end;
            }
            Some((lo, hi, this, that))
        })
    }

    /// Adds a span that lies beyond all others.
    fn push(&mut self, span: Span) {
        if span.ports.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.hi + 1 == span.lo && last.ports == span.ports => last.hi = span.hi,
            _ => self.0.push(span),
        }
    }
}

static NO_PORTS: std::sync::LazyLock<PortSet> = std::sync::LazyLock::new(PortSet::none);

/// Walks two lists of spans at once: every segment on which neither changes and at least one has ports.
struct Sweep<'a> {
    /// What is left of each list; the first span of each may be used up to `from`.
    lists: [&'a [Span]; 2],
    /// Every address below has been walked; `None` once the last address of all has been.
    from: Option<u128>,
}

impl<'a> Sweep<'a> {
    fn new(a: &'a Spans, b: &'a Spans) -> Self {
        Self { lists: [&a.0, &b.0], from: Some(0) }
    }
}

impl<'a> Iterator for Sweep<'a> {
    type Item = (u128, u128, &'a PortSet, &'a PortSet);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from?;
        let heads = self.lists.map(<[Span]>::first);
        let lo = heads.into_iter().flatten().map(|span| span.lo.max(from)).min()?;
        // The segment ends where a span that covers it ends, or just before the other one begins.
        let end = |span: &Span| if span.lo > lo { span.lo - 1 } else { span.hi };
        let hi = heads.into_iter().flatten().map(end).min()?;
        let [a, b] =
            heads.map(|head| head.filter(|span| span.lo <= lo).map_or(&*NO_PORTS, |span| &span.ports));
        for list in &mut self.lists {
            if list.first().is_some_and(|span| span.hi <= hi) {
                *list = &list[1..];
            }
        }
        self.from = hi.checked_add(1);
        Some((lo, hi, a, b))
    }
}
