//! Where a file lies: file systems and mounts on which a store would not be whole, or not be locked.

use std::path::Path;

use super::place::Place;
use crate::error::ExperimentStoreError;

impl Place {
    /// Refuses to write where writing is not safe. What cannot be written is only read, without a log and
    /// without locks.
    pub(super) fn require_safe_file_system(&self) -> Result<(), ExperimentStoreError> {
        let file = self.beside("");
        let mut above = file.ancestors().skip(1);
        let directory = above.find(|directory| directory.exists());
        let directory = directory.unwrap_or(Path::new("."));
        if file.is_file() && can_write(&file) && is_mount(&file) {
            return Err(ExperimentStoreError::MountedAlone {
                store: self.store(),
            });
        }
        match network(directory) {
            Some(system) if can_write(directory) => Err(ExperimentStoreError::OnNetwork {
                store: self.store(),
                system,
            }),
            _ => Ok(()),
        }
    }
}

/// Whether the system lets this user write there.
#[cfg(unix)]
pub(super) fn can_write(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    access(path, Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
pub(super) fn can_write(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.permissions().readonly())
}

/// Whether something is mounted at this very name.
#[cfg(target_os = "linux")]
fn is_mount(file: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, file, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_file: &Path) -> bool {
    false
}

/// What the file system is called, if its files are on another machine.
#[cfg(target_os = "linux")]
fn network(directory: &Path) -> Option<&'static str> {
    /// `man 2 statfs`, but for NFS, of which the number is known.
    const SMB: [u64; 3] = [0x517b, 0xff53_4d42, 0xfe53_4d42];
    const NFS: u64 = 0x6969;
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let found = rustix::fs::statfs(directory).ok()?;
    // Its type is signed or not, and of 32 or 64 bits, as the machine has it.
    let system = u64::try_from(found.f_type).unwrap_or_default() & 0xffff_ffff;
    match system {
        NFS => Some("NFS"),
        system if SMB.contains(&system) => Some("an SMB share"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn network(_directory: &Path) -> Option<&'static str> {
    None
}
