//! Operations on the whole system: file systems and modules.

use serde::{Deserialize, Serialize};

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SystemOp {
    /// mount(2).
    Mount {
        /// File system.
        #[serde(rename = "type")]
        kind: String,
        /// Source of the mount.
        source: String,
        /// Mount point.
        at: String,
        /// Options of the file system's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        options: String,
    },
    /// finit_module(2) of a module that the guest has.
    LoadModule {
        /// File name without the extension.
        module: String,
    },
    /// delete_module(2), which does not wait.
    UnloadModule {
        /// File name without the extension.
        module: String,
    },
}
