//! Programs in, OCI images out, and from there to nodes and registries, with no container engine.
//!
//! Law: the same inputs give the same bytes, whoever builds them and where; a load counts only when the node
//! itself names the digest.
