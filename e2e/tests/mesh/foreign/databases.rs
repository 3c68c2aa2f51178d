//! Databases as Debian packages them: PostgreSQL and Redis under their own benchmarks, and MariaDB, whose server speaks first.

use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::run;

use super::{IDLE, SHORT, ways};

const LIMIT: Duration = Duration::from_secs(90);
/// Users of the image, each of which its server insists on.
const POSTGRES: i64 = 70;
const REDIS: i64 = 71;
const MYSQL: i64 = 72;

#[test]
fn postgresql_loses_no_transaction_of_pgbench() {
    run("postgresql", async |ns| {
        let server = "initdb --no-sync -A trust -U postgres -D /tmp/data >/dev/null && \
            echo 'host all all all trust' >>/tmp/data/pg_hba.conf && \
            exec postgres -D /tmp/data -k /tmp -h '*' -c jit=off -c fsync=off";
        let server = ns.program("debian", &["/bin/bash", "-c", server]).user(POSTGRES).port(5432);
        let server = server.ready(&["pg_isready", "-q", "-h", "127.0.0.1"]);
        let ways = ways(&server, &ns.program("debian", &IDLE)).await?;
        let psql = ["psql", "-h", "{server}", "-U", "postgres", "-X", "-A", "-t", "-c"];
        for way in &ways {
            way.reaches(ns, &[&psql[..], &["select 1"]].concat()).await?;
            way.run(ns, LIMIT, &["pgbench", "-h", "{server}", "-U", "postgres", "-i", "-q", "postgres"]).await?;
            let mut transactions = 0;
            for (name, options, count) in [
                ("kept connections", &["-c", "4", "-t", "200"][..], 800),
                ("prepared statements", &["-c", "4", "-t", "200", "-M", "prepared"], 800),
                ("a connection for each transaction", &["-c", "2", "-t", "50", "-C"], 100),
            ] {
                let command = [&["pgbench", "-n", "-h", "{server}", "-U", "postgres"], options, &["postgres"]].concat();
                let said = way.run(ns, LIMIT, &command).await.context(name)?;
                for line in [
                    format!("number of transactions actually processed: {count}/{count}"),
                    "number of failed transactions: 0 (0.000%)".to_owned(),
                ] {
                    ensure!(said.contains(&line), "{name} by way of {}: {said}", way.name);
                }
                transactions += count;
            }
            let kept = way.run(ns, SHORT, &[&psql[..], &["select count(*) from pgbench_history"]].concat()).await?;
            ensure!(kept.trim() == transactions.to_string(), "{kept} of {transactions} by way of {}", way.name);
            let rows = "select repeat('x', 1000) from generate_series(1, 20000)";
            let rows =
                way.run(ns, SHORT, &["/bin/bash", "-c", &format!("{} \"{rows}\" | wc -c", psql.join(" "))]).await?;
            ensure!(rows.trim() == "20020000", "20000 rows of 1001 bytes are {rows} by way of {}", way.name);
        }
        Ok(())
    });
}

#[test]
fn redis_answers_all_of_its_benchmark() {
    run("redis", async |ns| {
        let server = ["redis-server", "--port", "6379", "--bind", "* -::*", "--save", "", "--protected-mode", "no"];
        let server = ns.program("debian", &server).user(REDIS).port(6379).ready(&["redis-cli", "ping"]);
        let ways = ways(&server, &ns.program("debian", &IDLE)).await?;
        for way in &ways {
            way.reaches(ns, &["redis-cli", "-e", "-h", "{server}", "ping"]).await?;
            for (name, options, tests) in [
                ("every command", &[][..], 20),
                ("pipelined", &["-P", "16", "-d", "1000", "-t", "set,get"], 2),
                ("a connection for each command", &["-k", "0", "-t", "set"], 1),
            ] {
                let command = ["redis-benchmark", "-h", "{server}", "-n", "1000", "-c", "20", "--csv"];
                let said = way.run(ns, LIMIT, &[&command[..], options].concat()).await.context(name)?;
                // It exits with 0 whatever happened: what counts is that each test has a line and that there is no other.
                let lines: Vec<&str> = said.lines().skip(1).collect();
                ensure!(lines.len() == tests, "{name} by way of {}: {said}", way.name);
                ensure!(
                    lines.iter().all(|line| line.split("\",\"").count() == 8),
                    "{name} by way of {}: {said}",
                    way.name
                );
            }
        }
        Ok(())
    });
}

#[test]
fn mariadb_greets_its_client_and_answers_it() {
    run("mariadb", async |ns| {
        let server = "mariadb-install-db --no-defaults --datadir=/tmp/data --auth-root-authentication-method=normal \
              --skip-test-db --force >/dev/null && \
            exec mariadbd --no-defaults --datadir=/tmp/data --socket=/tmp/socket --pid-file=/tmp/pid --port=3306 \
              --bind-address='*' --skip-name-resolve --innodb-buffer-pool-size=8M --init-file=/files/init.sql";
        let setup =
            "CREATE DATABASE shop;\nCREATE USER app@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON shop.* TO app@'%';\n";
        let client = ["mariadb", "--protocol=tcp", "-h", "{server}", "-u", "app", "-psecret", "-B", "-N", "shop", "-e"];
        let server = ns.program("debian", &["/bin/bash", "-c", server]).user(MYSQL).file("init.sql", setup).port(3306);
        let server =
            server.ready(&["mariadb", "--protocol=tcp", "-h", "127.0.0.1", "-u", "app", "-psecret", "-e", "select 1"]);
        let ways = ways(&server, &ns.program("debian", &IDLE)).await?;
        for way in &ways {
            way.reaches(ns, &[&client[..], &["select 1"]].concat()).await?;
            let query = "create or replace table numbers (n int); insert into numbers select seq from seq_1_to_10000; \
                select count(*), sum(n) from numbers";
            let found = way.run(ns, SHORT, &[&client[..], &[query]].concat()).await?;
            ensure!(found.trim() == "10000\t50005000", "{found:?} by way of {}", way.name);
            let rows =
                way.run(ns, SHORT, &[&client[..], &["select repeat('x', 999) from seq_1_to_2000"]].concat()).await?;
            ensure!(rows.len() == 2_000_000, "2000 rows of 1000 bytes are {} by way of {}", rows.len(), way.name);
        }
        Ok(())
    });
}
