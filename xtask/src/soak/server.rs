//! nginx with its RTMP module, on loopback, with a folder of its own. The tests of `lipflow live` use it
//! too, so it knows nothing of the rest of xtask.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A stream of this name is refused, as a wrong key is.
pub const WRONG_KEY: &str = "a-wr0ng-key";
const START_LIMIT: Duration = Duration::from_secs(10);

pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it at `port`. `data` is where set-up puts things; without a server there, the installed
    /// one serves.
    pub fn start(data: &Path, folder: &Path, port: u16) -> Result<Self> {
        let own = data.join("nginx");
        let root = if own.is_dir() {
            own
        } else {
            PathBuf::from("/")
        };
        let folder = folder.join("nginx");
        fs::create_dir_all(folder.join("tmp"))?;
        let config = folder.join("nginx.conf");
        let text = format!(
            "load_module {}/usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             worker_processes 1; daemon off; master_process off;\n\
             error_log {folder}/error.log; pid {folder}/pid;\n\
             events {{ worker_connections 32; }}\n\
             rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; notify_method get; \
             application live {{ live on; on_publish http://127.0.0.1:{keys}/publish; }} }} }}\n\
             http {{ access_log off; client_body_temp_path tmp/a; proxy_temp_path tmp/b; \
             fastcgi_temp_path tmp/c; uwsgi_temp_path tmp/d; scgi_temp_path tmp/e; \
             server {{ listen 127.0.0.1:{keys}; location /publish {{ \
             if ($arg_name = \"{WRONG_KEY}\") {{ return 403; }} return 200; }} }} }}\n",
            root.display(),
            folder = folder.display(),
            keys = free_port()?,
        );
        fs::write(&config, text)?;
        let child = Command::new(root.join("usr/sbin/nginx"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start nginx")?;
        let server = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > START_LIMIT {
                bail!("nginx does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
