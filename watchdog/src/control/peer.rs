//! Who is at the other end of a connection, as the kernel noted it when the connection was made.

use std::{fs, io, os::fd::AsRawFd};

use tokio::net::UnixStream;

use crate::model::Asker;

/// A process that has connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    uid: u32,
    /// 0: it is in a PID namespace that we do not see into.
    pid: u32,
    /// Its own group and its supplementary ones.
    groups: Vec<u32>,
}

impl Peer {
    pub(super) fn of(connection: &UnixStream) -> io::Result<Peer> {
        let own = connection.peer_cred()?;
        let mut groups = supplementary(connection)?;
        groups.push(own.gid());
        let pid = own.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Ok(Peer { uid: own.uid(), pid, groups })
    }

    /// Root alone.
    pub(super) fn may_write(&self) -> bool {
        self.uid == 0
    }

    /// Who that is, for the record: looked up while it waits for its answer.
    pub(super) fn asker(&self) -> Asker {
        let own = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = |uid: u32| name_in(&users, uid).unwrap_or_else(|| format!("user {uid}"));
        let login = own("loginuid").trim().parse().ok().filter(|login| *login != NOBODY_LOGGED_IN);
        let name = match login.filter(|login| *login != self.uid) {
            Some(login) => format!("{} as {}", name(login), name(self.uid)),
            None => name(self.uid),
        };
        let comm = own("comm");
        let comm = comm.trim().chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        Asker { uid: self.uid, pid: self.pid, comm, name }
    }

    /// Root, and members of this group.
    pub(super) fn may_read(&self, group: Option<u32>) -> bool {
        self.uid == 0 || group.is_some_and(|group| self.groups.contains(&group))
    }
}

/// The supplementary groups of the process at the moment at which it connected: by its PID they would be another's, should it
/// have ended since.
#[allow(unsafe_code, reason = "no crate that we use knows SO_PEERGROUPS")]
fn supplementary(connection: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 64];
    loop {
        let room = groups.len() * size_of::<u32>();
        let mut length = libc::socklen_t::try_from(room).map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `length` bytes, which the vector has, and any bytes are good numbers.
        let done = unsafe {
            libc::getsockopt(
                connection.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if done == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let fault = io::Error::last_os_error();
        if fault.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(fault);
        }
        groups.resize(count, 0);
    }
}

/// The number of a group of this host.
pub(super) fn group(name: &str) -> Option<u32> {
    group_in(&fs::read_to_string("/etc/group").ok()?, name)
}

/// What the kernel calls the login of a process that nobody logged in for.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

fn name_in(file: &str, uid: u32) -> Option<String> {
    let mut lines = file.lines().map(|line| line.split(':'));
    lines.find_map(|mut line| {
        let name = line.next()?;
        (line.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn group_in(file: &str, name: &str) -> Option<u32> {
    let mut lines = file.lines().map(|line| line.split(':'));
    lines.find_map(|mut line| if line.next()? == name { line.nth(1)?.parse().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let file = "root:x:0:\nwatchdogs:x:7:ann\nwatchdog:x:990:ann,ben\nbroken\n";
        assert_eq!(group_in(file, "watchdog"), Some(990));
        assert_eq!(group_in(file, "watch"), None);
    }

    #[test]
    fn a_user_is_known_by_number() {
        let file = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_in(file, 1000).as_deref(), Some("ann"));
        assert_eq!(name_in(file, 0).as_deref(), Some("root"));
        assert_eq!(name_in(file, 7), None);
    }

    #[test]
    fn only_root_may_write() {
        assert!(Peer { uid: 0, pid: 1, groups: vec![] }.may_write());
        assert!(!Peer { uid: 1000, pid: 1, groups: vec![0, 990] }.may_write());
    }

    #[test]
    fn root_and_members_may_read_and_nobody_else() {
        let peer = |uid, groups: &[u32]| Peer { uid, pid: 1, groups: groups.to_vec() };
        assert!(peer(0, &[]).may_read(None));
        assert!(peer(1000, &[4, 990]).may_read(Some(990)));
        assert!(!peer(1000, &[4]).may_read(Some(990)));
        assert!(!peer(1000, &[0]).may_read(None));
    }

    #[tokio::test]
    async fn the_kernel_tells_who_has_connected() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.groups.contains(&rustix::process::getegid().as_raw()));
    }
}
