//! Archives from the network, accepted only with the pinned checksum.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{Archive, hex};
use crate::{Error, Phase, Progress, Result};

/// Fetches the archive, unless an earlier interrupted run has already fetched it.
pub(super) fn fetch(url: &str, sha256: &str, downloads: &Path, progress: &dyn Progress) -> Result<Archive> {
    let file = url.rsplit('/').next().unwrap_or(url);
    let name = format!("{sha256}-{file}");
    let path = downloads.join(&name);
    if !path.is_file() {
        let partial = downloads.join(name + ".partial");
        let found = receive(url, file, &partial, progress)?;
        if found != sha256 {
            let _ = fs::remove_file(&partial);
            return Err(Error::Checksum { what: url.into(), expected: sha256.into(), found });
        }
        fs::rename(&partial, &path).map_err(Error::io("renaming", &partial))?;
    }
    Ok(Archive { path, identity: format!("sha256 {sha256}"), fetched: true })
}

/// Writes the body to that file and returns its SHA-256.
fn receive(url: &str, file: &str, to: &Path, progress: &dyn Progress) -> Result<String> {
    let failed = |reason: String| Error::Download { url: url.into(), reason };
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .build();
    let response = config.new_agent().get(url).call().map_err(|error| failed(error.to_string()))?;
    let total = response.body().content_length();
    progress.started(&Phase::Download { file: file.into() }, total);

    let mut body = response.into_body().into_reader();
    let mut out = File::create(to).map_err(Error::io("creating", to))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        let read = body.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read]).map_err(Error::io("writing", to))?;
        done += read as u64;
        progress.done(done);
    }
    if total.is_some_and(|total| done < total) {
        return Err(failed(format!("it ended after {done} bytes of {}", total.unwrap_or_default())));
    }
    progress.finished();
    Ok(hex(&hash.finalize()))
}
