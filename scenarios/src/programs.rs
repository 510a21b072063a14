//! Programs that scenarios run in a guest.
//!
//! The name of a program is also that of the feature of the guests that have it: those whose host
//! has brought it along, with its libraries.

/// A program that the host can bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostProgram {
    pub name: &'static str,
    /// Its path in the guest, and on a host that has its package.
    pub path: &'static str,
    pub origin: Origin,
    /// Directories with what it loads by itself; those that exist are taken along.
    pub directories: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is built from the package of this workspace that has its name.
    Workspace,
    /// The package of Debian that has it.
    Package(&'static str),
}

/// All of them.
pub const PROGRAMS: [HostProgram; 10] = [
    HostProgram { name: "keyagentd", path: "/sbin/keyagentd", origin: Origin::Workspace, directories: &[] },
    packaged("keyctl", "/bin/keyctl", "keyutils"),
    packaged("key.dns_resolver", "/sbin/key.dns_resolver", "keyutils"),
    HostProgram { directories: &ID_METHODS, ..packaged("nfsidmap", "/usr/sbin/nfsidmap", "nfs-common") },
    HostProgram { directories: &ID_METHODS, ..packaged("rpc.idmapd", "/usr/sbin/rpc.idmapd", "nfs-common") },
    packaged("mount.nfs4", "/sbin/mount.nfs4", "nfs-common"),
    packaged("exportfs", "/usr/sbin/exportfs", "nfs-kernel-server"),
    packaged("rpc.mountd", "/usr/sbin/rpc.mountd", "nfs-kernel-server"),
    packaged("rpc.nfsd", "/usr/sbin/rpc.nfsd", "nfs-kernel-server"),
    packaged("cifs.upcall", "/usr/sbin/cifs.upcall", "cifs-utils"),
];

/// Where distributions have the methods by which NFS maps names and ids.
const ID_METHODS: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/libnfsidmap", "/usr/lib64/libnfsidmap", "/usr/lib/libnfsidmap"];

const fn packaged(name: &'static str, path: &'static str, package: &'static str) -> HostProgram {
    HostProgram { name, path, origin: Origin::Package(package), directories: &[] }
}

/// Returns the program of this name, if it is one of them.
pub fn find(name: &str) -> Option<&'static HostProgram> {
    PROGRAMS.iter().find(|program| program.name == name)
}
