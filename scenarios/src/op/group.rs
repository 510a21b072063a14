//! Groups of operations.

use super::Op;

/// Subject of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Keyring,
    Key,
    /// Authority over a key under construction.
    Authority,
    /// Completion of an upcall.
    Upcall,
    Signal,
    /// The process itself.
    Process,
    /// Namespaces of a running process.
    Namespace,
    /// The whole system: file systems and modules.
    System,
    /// Inspection of the kernel.
    Inspect,
    /// Suspension of another process.
    Suspend,
    /// Another operation, under special circumstances.
    Nested,
    /// Control of a process by PID 1.
    Control,
}

impl Op {
    // One operation a line would fill two screens.
    #[rustfmt::skip]
    pub fn group(&self) -> Group {
        match self {
            Self::JoinSession { .. } | Self::Keyring { .. } | Self::Clear { .. } | Self::Link { .. }
            | Self::Unlink { .. } | Self::Move { .. } | Self::Restrict { .. }
            | Self::DefaultKeyring { .. } | Self::SessionToParent {} | Self::Persistent { .. }
                => Group::Keyring,
            Self::Add { .. } | Self::Register { .. } | Self::Request { .. } | Self::Search { .. }
            | Self::Describe { .. } | Self::Read { .. } | Self::Update { .. } | Self::Setperm { .. }
            | Self::Chown { .. } | Self::SetTimeout { .. } | Self::Revoke { .. }
            | Self::Invalidate { .. } | Self::GetSecurity { .. } | Self::Watch { .. }
            | Self::Notifications {} | Self::Capabilities {} => Group::Key,
            Self::Assume { .. } | Self::Instantiate { .. } | Self::InstantiateIov { .. }
            | Self::Negate { .. } | Self::Reject { .. } => Group::Authority,
            Self::Answer { .. } | Self::Deny { .. } => Group::Upcall,
            Self::Signal { .. } | Self::Forge { .. } | Self::TakeSignals {} => Group::Signal,
            Self::Exit { .. } | Self::Crash {} | Self::Exec { .. } | Self::LeaveLeader {}
            | Self::Become { .. } | Self::Limit { .. } | Self::SetDumpable { .. } | Self::Run { .. }
                => Group::Process,
            Self::Unshare { .. } | Self::Enter { .. } => Group::Namespace,
            Self::Mount { .. } | Self::LoadModule { .. } | Self::UnloadModule { .. } => Group::System,
            Self::ProcKeys { .. } | Self::Trace { .. } | Self::KernelLog { .. } | Self::KeyUsers { .. }
                => Group::Inspect,
            Self::Freeze { .. } | Self::Thaw { .. } | Self::Seize { .. } | Self::Detach { .. }
                => Group::Suspend,
            Self::EachAllocation { .. } | Self::InThread { .. } => Group::Nested,
            Self::Start {} | Self::Reap {} | Self::Wait { .. } | Self::Await { .. } => Group::Control,
        }
    }
}
