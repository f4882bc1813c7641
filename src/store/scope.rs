//! The organisation-scoped handle through which tenant data is read.

use super::Read;
use crate::domain::ids::OrgId;

/// One tenant's data, and nothing else's. Every table behind it is keyed by the
/// organisation, so another tenant's id finds nothing, exactly as an unknown one.
pub struct Org<'t, T> {
    pub(super) tx: &'t T,
    pub(super) id: OrgId,
}

/// Opens the scope of one tenant. The caller has decided that it may.
pub fn org<T: Read>(tx: &T, id: OrgId) -> Org<'_, T> {
    Org { tx, id }
}
