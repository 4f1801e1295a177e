//! Real servers, set up in one call each: what the heartbeat page is and how it is served.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Lab;

/// What every heartbeat page says.
pub const WORKS: &str = "It works!";

/// How a front end reaches php-fpm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// By its Unix socket.
    Unix,
    /// By port 9000.
    Tcp,
}

impl Lab {
    /// nginx with a page at `/` that says [`WORKS`], on port 80, enabled and started. It has no Restart=.
    pub fn nginx(&self) -> Result<()> {
        self.sh(&format!("echo '{WORKS}' > /var/www/html/index.html"))?;
        self.nginx_site("location / { try_files $uri $uri/ =404; }")?;
        self.start("nginx.service")
    }

    /// nginx in front of php-fpm: `/heartbeat.php` says [`WORKS`], and `/` is nginx's own. Answers php-fpm's unit.
    pub fn nginx_with_php(&self, backend: Backend) -> Result<String> {
        let (fpm, goal) = self.php(backend)?;
        self.sh(&format!("echo '{WORKS}' > /var/www/html/index.html"))?;
        let goal = if backend == Backend::Unix { format!("unix:{goal}") } else { goal };
        self.nginx_site(&format!(
            "location / {{ try_files $uri $uri/ =404; }}
             location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass {goal}; }}"
        ))?;
        self.start(&fpm)?;
        self.start("nginx.service")?;
        Ok(fpm)
    }

    /// Apache in front of php-fpm: `/heartbeat.php` says [`WORKS`], `/` is Apache's own. Apache listens on `port` and has no
    /// Restart=. Answers php-fpm's unit.
    pub fn apache_with_php(&self, backend: Backend, port: u16) -> Result<String> {
        let (fpm, goal) = self.php(backend)?;
        let goal = match backend {
            Backend::Unix => format!("proxy:unix:{goal}|fcgi://localhost"),
            Backend::Tcp => format!("proxy:fcgi://{goal}"),
        };
        self.sh("a2enmod -q proxy_fcgi >/dev/null; a2dissite -q 000-default >/dev/null; echo index > /var/www/html/plain.html")?;
        self.write("/etc/apache2/ports.conf", &format!("Listen {port}\n"))?;
        let site = format!(
            "ServerName lab
             <VirtualHost *:{port}>
               DocumentRoot /var/www/html
               <FilesMatch \"\\.php$\">
                 SetHandler \"{goal}\"
               </FilesMatch>
             </VirtualHost>\n"
        );
        self.write("/etc/apache2/conf-enabled/lab.conf", &site)?;
        self.drop_in("apache2.service", "[Service]\nRestart=no\n")?;
        self.start(&fpm)?;
        self.start("apache2.service")?;
        Ok(fpm)
    }

    /// A unit with `ExecStart=command` and more lines for its `[Service]` section, enabled and started.
    pub fn service(&self, unit: &str, command: &str, more: &str) -> Result<()> {
        let file = format!(
            "[Unit]\nDescription={unit}\n[Service]\nExecStart={command}\n{more}\n[Install]\nWantedBy=multi-user.target\n"
        );
        self.unit(unit, &file)?;
        self.start(unit)
    }

    /// Enables and starts a unit.
    pub fn start(&self, unit: &str) -> Result<()> {
        // `systemctl enable` reloads systemd three times where an init script has the same name.
        let file = self.property(unit, "FragmentPath")?;
        self.sh(&format!(
            "ln -sf {file} /etc/systemd/system/multi-user.target.wants/{unit}; systemctl start {unit}"
        ))
        .map(drop)
    }

    /// Waits until a page answers with a status below 500.
    pub fn until_answers(&self, url: &str, limit: Duration) -> Result<()> {
        self.until(limit, || {
            let reply = self.get_within(url, limit)?;
            ensure!(reply.status < 500, "{url} answers {}", reply.status);
            Ok(())
        })
    }

    fn nginx_site(&self, locations: &str) -> Result<()> {
        let site = format!(
            "server {{ listen 80 default_server; root /var/www/html; server_name _;\n{locations}\n}}\n"
        );
        self.sh("rm -f /etc/nginx/sites-enabled/*")?;
        self.write("/etc/nginx/sites-enabled/lab", &site)
    }

    /// The heartbeat page and php-fpm's pool; answers its unit and where it listens.
    fn php(&self, backend: Backend) -> Result<(String, String)> {
        let pool = self.sh("echo /etc/php/*/fpm/pool.d/www.conf")?.trim().to_owned();
        let version = pool.split('/').nth(3).context("php-fpm has no pool")?.to_owned();
        self.write("/var/www/html/heartbeat.php", &format!("<?php echo '{WORKS}';\n"))?;
        let socket = format!("/run/php/php{version}-fpm.sock");
        let goal = match backend {
            Backend::Unix => socket,
            Backend::Tcp => {
                self.sh(&format!("sed -i 's,^listen = .*,listen = 127.0.0.1:9000,' {pool}"))?;
                "127.0.0.1:9000".into()
            }
        };
        Ok((format!("php{version}-fpm.service"), goal))
    }
}
