"""Every way to sign in, and TLS: the programs against servers that ask for it."""

import json

from lib import nkeys, suite
from lib.secured import SecuredCluster

UNREACHABLE = 69
USAGE = 64


class AccessTest(suite.Case):
    def check_works(self, cluster):
        """A task runs: manager, worker and cube have all got in."""
        cluster.start("a")
        done = cluster.cube("run", "--attach", "--name", "hello", "--restart", "no", "--engine",
                            "process", "--", "sh", "-c", "echo hello")
        self.assertEqual(done.out, "hello\n", done)

    def check_refused(self, cluster, environment, *texts):
        refused = cluster.cube("ps", code=UNREACHABLE, environment=environment)
        for text in texts:
            self.assertIn(text, refused.err)
        self.assertEqual(refused.out, "")

    def check_context(self, cluster, *own, **context):
        """The same from a context of the nats tool, without the variables."""
        cluster.write("config/nats/context/prod.json",
                      json.dumps({"url": cluster.environment["CUBE_SERVER"], **context}))
        environment = cluster.without("CUBE_SERVER", *own)
        for name in ("prod", ""):  # named, and selected
            if not name:
                cluster.write("config/nats/context.txt", "prod")
            more = {"CUBE_CONTEXT": name} if name else {}
            nodes = cluster.cube("node", "ls", "-q", environment={**environment, **more})
            self.assertEqual(nodes.out, cluster.node("a") + "\n")

    def test_user_and_password(self):
        with SecuredCluster(CUBE_NATS_USER="me", CUBE_NATS_PASSWORD="p@ss: word") as cluster:
            cluster.configuration = 'authorization { user: me, password: "p@ss: word" }\n'
            self.check_works(cluster)
            own = ("CUBE_NATS_USER", "CUBE_NATS_PASSWORD")
            self.check_context(cluster, *own, user="me", password="p@ss: word")
            self.check_refused(cluster, cluster.without(*own), "--nats-user")
            self.check_refused(cluster, cluster.without(CUBE_NATS_PASSWORD="wrong"), "--nats-user")
            cluster.cube("--nats-user", "me", "--nats-password", "p@ss: word", "ps",
                         environment=cluster.without(*own))

    def test_user_and_password_in_the_url(self):
        with SecuredCluster() as cluster:
            cluster.configuration = "authorization { user: me, password: secret }\n"
            cluster.start_nats()
            cluster.environment["CUBE_SERVER"] = f"nats://me:secret@127.0.0.1:{cluster.port}"
            cluster.start_nats = lambda: None
            self.check_works(cluster)
            for answer in (cluster.cube("status"), cluster.cube(
                    "ps", code=UNREACHABLE, environment=cluster.without(
                        CUBE_SERVER="nats://me:secret@127.0.0.1:1"))):
                self.assertNotIn("secret", answer.out + answer.err)

    def test_token(self):
        with SecuredCluster(CUBE_NATS_TOKEN="a token") as cluster:
            cluster.configuration = 'authorization { token: "a token" }\n'
            self.check_works(cluster)
            self.check_context(cluster, "CUBE_NATS_TOKEN", token="a token")
            self.check_refused(cluster, cluster.without(CUBE_NATS_TOKEN="other"), "--nats-user")

    def test_nkey(self):
        with SecuredCluster() as cluster:
            key = nkeys.make_key(cluster.dir, "user", nkeys.USER)
            other = nkeys.make_key(cluster.dir, "other", nkeys.USER)
            cluster.configuration = f"authorization {{ users: [ {{ nkey: {key.public} }} ] }}\n"
            cluster.environment["CUBE_NKEY"] = cluster.write("user.nk", key.seed + "\n")
            self.check_works(cluster)
            self.check_context(cluster, "CUBE_NKEY", nkey=cluster.path("user.nk"))
            wrong = cluster.write("other.nk", other.seed + "\n")
            self.check_refused(cluster, cluster.without(CUBE_NKEY=wrong), "--nats-user")
            none = cluster.cube("ps", code=USAGE, environment=cluster.without(
                CUBE_NKEY=cluster.write("none.nk", "no seed\n")))
            self.assertIn("none.nk", none.err)

    def test_creds(self):
        with SecuredCluster() as cluster:
            cluster.configuration, creds = nkeys.make_creds(cluster.dir)
            cluster.environment["CUBE_CREDS"] = creds
            self.check_works(cluster)
            self.check_context(cluster, "CUBE_CREDS", creds=creds)
            self.check_refused(cluster, cluster.without("CUBE_CREDS"), "--nats-user")
            missing = cluster.cube("ps", code=USAGE,
                                   environment=cluster.without(CUBE_CREDS="/no/such/file"))
            self.assertIn("/no/such/file cannot be read", missing.err)

    def tls(self, cluster, verify):
        nkeys.make_certificates(cluster.dir)
        files = ", ".join(f'{key}: "{cluster.path(file)}"' for key, file in {
            "cert_file": "server.pem", "key_file": "server-key.pem", "ca_file": "ca.pem"}.items())
        cluster.configuration = f"tls {{ {files}, verify: {verify} }}\n"
        cluster.environment["CUBE_TLSCA"] = cluster.path("ca.pem")

    def test_tls(self):
        with SecuredCluster(CUBE_ALLOW_UNSAFE_TLS="1") as cluster:
            self.tls(cluster, "false")
            self.check_works(cluster)
            self.check_context(cluster, "CUBE_TLSCA", ca=cluster.path("ca.pem"))
            url = f"tls://127.0.0.1:{cluster.port}"
            cluster.cube("ps", environment=cluster.without(CUBE_SERVER=url))
            self.check_refused(cluster, cluster.without("CUBE_TLSCA", CUBE_SERVER=url),
                               "certificate")
            self.check_refused(cluster, cluster.without("CUBE_TLSCA"), "check the certificates",
                               "--tlsca")

    def test_tls_with_client_certificates(self):
        with SecuredCluster(CUBE_ALLOW_UNSAFE_TLS="1") as cluster:
            self.tls(cluster, "true")
            cluster.environment.update(CUBE_TLSCERT=cluster.path("client.pem"),
                                       CUBE_TLSKEY=cluster.path("client-key.pem"))
            self.check_works(cluster)
            own = ("CUBE_TLSCA", "CUBE_TLSCERT", "CUBE_TLSKEY")
            self.check_context(cluster, *own, ca=cluster.path("ca.pem"),
                               cert=cluster.path("client.pem"), key=cluster.path("client-key.pem"))
            self.check_refused(cluster, cluster.without("CUBE_TLSCERT", "CUBE_TLSKEY"),
                               "asks for client certificates")

    def test_servers_that_are_none(self):
        with SecuredCluster() as cluster:
            for url, fault in (("ftp://x", "has the scheme 'ftp'"), ("nats://", "has no host"),
                               ("nats://h:0", "has a port that is not 1 to 65535"),
                               ("ws://h", "has the scheme 'ws', and this client speaks no "
                                          "websockets")):
                for program in ("cube", "cube-manager", "cube-worker"):
                    done = cluster.program(program, *(["ps"] if program == "cube" else [
                        "--state-dir", cluster.path("state")]), "--server", url)
                    self.assertEqual(done.code, USAGE, done)
                    self.assertIn(f"--server: '{url}' {fault}; give nats://HOST:PORT", done.err)


if __name__ == "__main__":
    suite.main()
