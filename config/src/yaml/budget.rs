//! Bounds of a tree, so that a small file of aliases cannot become a large one.

use super::{Content, Node};

/// Nodes in a tree with its aliases copied in. A file has a few hundred; a bomb of aliases has millions.
const NODES_MAX: usize = 200_000;
/// Text in a tree with its aliases copied in, bytes.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// Nesting, aliases copied in. Readers and JSON parsers of the modules recurse; serde_json stops at 128.
pub(super) const DEPTH_MAX: usize = 100;

/// What has been used up so far.
#[derive(Default)]
pub(super) struct Budget {
    nodes: usize,
    text_bytes: usize,
}

impl Budget {
    /// Counts a copy of a whole subtree that goes `depth` levels down. The error is the message.
    pub(super) fn spend_copy(&mut self, node: &Node, depth: usize) -> Result<(), &'static str> {
        let (nodes, text_bytes, levels) = extent(node);
        if depth + levels > DEPTH_MAX {
            return Err("aliases nested deeper than 100 levels");
        }
        self.spend(nodes, text_bytes)
    }

    /// Counts a node whose children, if any, have been counted.
    pub(super) fn spend_node(&mut self, node: &Node) -> Result<(), &'static str> {
        self.spend(1, own_text(node))
    }

    fn spend(&mut self, nodes: usize, text_bytes: usize) -> Result<(), &'static str> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        match self.nodes > NODES_MAX || self.text_bytes > TEXT_BYTES_MAX {
            true => Err("the file with its aliases copied in is too large"),
            false => Ok(()),
        }
    }
}

/// Nodes, bytes of text, and levels of a subtree.
fn extent(node: &Node) -> (usize, usize, usize) {
    let own = (1, own_text(node), 0);
    let sum = |below: &mut dyn Iterator<Item = &Node>| {
        below
            .map(extent)
            .fold(own, |a, b| (a.0 + b.0, a.1 + b.1, a.2.max(b.2 + 1)))
    };
    match &node.content {
        Content::Scalar(_) => own,
        Content::List(items) => sum(&mut items.iter()),
        Content::Mapping(entries) => sum(&mut entries.iter().map(|entry| &entry.node)),
    }
}

/// Bytes of a scalar, or of the keys of a mapping.
fn own_text(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(scalar) => scalar.written.len(),
        Content::List(_) => 0,
        Content::Mapping(entries) => entries.iter().map(|entry| entry.key.len()).sum(),
    }
}
