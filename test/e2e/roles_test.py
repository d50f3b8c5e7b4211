"""The accounts of deploy/nats: what each role may do, tried from outside, and that all works."""

import json
import os
import subprocess
import tempfile

from lib import accounts, nkeys, suite
from lib import cluster as e2e

UNREACHABLE = 69

ONE, TWO = "worker-1", "worker-2"
NODES = {ONE, TWO}
VIEWERS = set(accounts.USERS)
SUBMITTERS = {"submitter", "operator"}
ROLES = ["manager", *accounts.USERS, ONE, TWO]
MANAGER = {"manager"}
NOBODY = set()


def home(subject):
    """Whose account a subject belongs to."""
    part = subject.split(".")
    return part[2] if part[:2] in (["cube", "logs"], ["cube", "exec"]) else "manager"


# Who reaches which subject, beside whom it belongs to.
PUBLISH = {
    "cube.tasks.submit": SUBMITTERS,
    "cube.tasks.stop": SUBMITTERS,
    "cube.jobs.submit": SUBMITTERS,
    "cube.jobs.stop": SUBMITTERS,
    "cube.jobs.scale": SUBMITTERS,
    "cube.nodes.cordon": SUBMITTERS,
    "cube.nodes.uncordon": SUBMITTERS,
    "cube.nodes.drain": SUBMITTERS,
    "cube.query.tasks": VIEWERS,
    "cube.query.cluster": VIEWERS,
    f"cube.logs.{ONE}": {"logs", "operator"},
    f"cube.logs.{TWO}": {"logs", "operator"},
    f"cube.exec.{ONE}": {"exec", "operator"},
    f"cube.exec.{TWO}": {"exec", "operator"},
    f"cube.facts.{ONE}": {ONE},
    f"cube.facts.{TWO}": {TWO},
    f"cube.heartbeats.{ONE}": {ONE},
    f"cube.heartbeats.{TWO}": {TWO},
    f"cube.metrics.{ONE}": {ONE},
    f"cube.metrics.{TWO}": {TWO},
    "cube.facts.other": NOBODY,
    "cube.heartbeats.-leader": NOBODY,
    "cube.decisions": NOBODY,
    f"cube.assign.{ONE}": NOBODY,
    f"cube.assign.{TWO}": NOBODY,
    f"cube.desired.{ONE}.0": NOBODY,
    f"cube.desired.{TWO}.0": NOBODY,
    "cube.snapshots.chunks": NOBODY,
    "cube.snapshots.manifest": NOBODY,
    "cube.events.web.web-1.running": NOBODY,
    "cube.outcome.mine": NOBODY,
    "$KV.CUBE_LEADER.leader": NOBODY,
    "$JS.API.STREAM.PURGE.CUBE_DECISIONS": NOBODY,
    "$JS.API.STREAM.DELETE.CUBE_FACTS": NOBODY,
    "$JS.API.STREAM.UPDATE.CUBE_INTENTS": NOBODY,
    "$JS.API.STREAM.MSG.DELETE.CUBE_INTENTS": NOBODY,
    "$JS.API.STREAM.SNAPSHOT.CUBE_INTENTS": NOBODY,
    "$JS.API.STREAM.RESTORE.CUBE_MORE": NOBODY,
    "$JS.API.CONSUMER.DELETE.CUBE_DECISIONS.c": NOBODY,
    "$JS.API.CONSUMER.MSG.NEXT.CUBE_DECISIONS.c": NOBODY,
    "$JS.ACK.CUBE_DECISIONS.c.1.1.1.1.0": NOBODY,
    "_INBOX.somebody.1": NOBODY,
    "_R_.somebody.1": NOBODY,
}
# Who hears what is sent there.
HEAR = {
    "cube.events.web.web-1.running": MANAGER | VIEWERS,
    "cube.outcome.mine": MANAGER | SUBMITTERS,
    f"cube.metrics.{ONE}": MANAGER,
    f"cube.assign.{ONE}": MANAGER | {ONE},
    f"cube.assign.{TWO}": MANAGER | {TWO},
    f"cube.desired.{ONE}.0": MANAGER | {ONE},
    f"cube.desired.{TWO}.0": MANAGER | {TWO},
    f"cube.logs.{ONE}": {ONE},
    f"cube.exec.{ONE}": {ONE},
    f"cube.exec.{TWO}": {TWO},
    f"cube.facts.{ONE}": MANAGER,
    f"cube.heartbeats.{ONE}": MANAGER,
    "cube.heartbeats.-leader": MANAGER,
    "cube.decisions": MANAGER,
    "cube.tasks.submit": MANAGER,
    "cube.query.tasks": MANAGER,
    "cube.snapshots.chunks": MANAGER,
    "$KV.CUBE_LEADER.leader": MANAGER,
}
# What is stored before the reading begins, and who gets at it. That every worker can read all
# decisions is a limit that docs/SECURITY.md states.
STORED = {
    "cube.tasks.submit": "an-intent",
    "cube.decisions": "a-decision",
    f"cube.facts.{ONE}": "a-fact",
    f"cube.desired.{ONE}.0": "set-of-one",
    f"cube.desired.{TWO}.0": "set-of-two",
    "cube.snapshots.chunks": "a-chunk",
    "cube.heartbeats.-leader": "beat-of-leader",
    f"cube.heartbeats.{TWO}": "beat-of-two",
    f"cube.metrics.{TWO}": "metrics-of-two",
    "$KV.CUBE_LEADER.leader": "the-lease",
}
GET, INFO, LAST = "$JS.API.DIRECT.GET.", "$JS.API.STREAM.INFO.", '{"last_by_subj":">"}'


def last_of(subject):
    return json.dumps({"last_by_subj": subject})


READ = {
    (GET + "CUBE_INTENTS", LAST, "an-intent"): MANAGER | VIEWERS,
    (GET + "CUBE_DECISIONS", LAST, "a-decision"): MANAGER | VIEWERS | NODES,
    (GET + "CUBE_DECISIONS.cube.decisions", "", "a-decision"): MANAGER | VIEWERS | NODES,
    (GET + "CUBE_FACTS", LAST, "a-fact"): MANAGER | VIEWERS,
    (GET + f"CUBE_DESIRED.cube.desired.{ONE}.0", "", "set-of-one"): MANAGER | {ONE},
    (GET + f"CUBE_DESIRED.cube.desired.{TWO}.0", "", "set-of-two"): MANAGER | {TWO},
    # The question does not lead elsewhere.
    (GET + f"CUBE_DESIRED.cube.desired.{ONE}.0", last_of(f"cube.desired.{TWO}.0"),
     "set-of-two"): NOBODY,
    (GET + f"CUBE_DESIRED.cube.desired.{ONE}.>", "", "set-of-two"): NOBODY,
    (GET + "CUBE_DESIRED", last_of(f"cube.desired.{ONE}.0"), "set-of-one"): MANAGER,
    (GET + "CUBE_DESIRED.>", "", "set-of"): MANAGER,
    (GET + "CUBE_HEARTBEATS.cube.heartbeats.-leader", "", "beat-of-leader"):
        MANAGER | VIEWERS | NODES,
    (GET + f"CUBE_HEARTBEATS.cube.heartbeats.{TWO}", "", "beat-of-two"): MANAGER | VIEWERS,
    (GET + f"CUBE_METRICS.cube.metrics.{TWO}", "", "metrics-of-two"): MANAGER | VIEWERS,
    (GET + "CUBE_SNAPSHOTS", LAST, "a-chunk"): MANAGER,
    (GET + "KV_CUBE_LEADER", LAST, "the-lease"): MANAGER,
    ("$JS.API.STREAM.MSG.GET.CUBE_INTENTS", LAST, '"message"'): MANAGER,
    (INFO + "CUBE_INTENTS", "", '"config"'): MANAGER,
    ("cube.streams.CUBE_INTENTS", "", '"config"'): VIEWERS,
    ("cube.streams.KV_CUBE_LEADER", "", '"config"'): VIEWERS,
    ("$JS.API.STREAM.NAMES", "", "CUBE_INTENTS"): MANAGER,
}
# What can be asked with a subject for the answer; each role asks all of it.
REQUESTS = {
    "cube.tasks.submit": "+ACK",
    "cube.nodes.drain": "x",
    "cube.query.tasks": "",
    f"cube.logs.{ONE}": "x",
    f"cube.exec.{TWO}": "x",
    f"cube.facts.{ONE}": "x",
    f"cube.facts.{TWO}": "x",
    f"cube.heartbeats.{ONE}": "x",
    f"cube.metrics.{ONE}": "x",
    GET + "CUBE_INTENTS": LAST,
    GET + "CUBE_DECISIONS": LAST,
    GET + "CUBE_DECISIONS.cube.decisions": "",
    GET + f"CUBE_DESIRED.cube.desired.{ONE}.0": "",
    GET + "CUBE_HEARTBEATS.cube.heartbeats.-leader": "",
    "cube.streams.CUBE_INTENTS": "",
    INFO + "CUBE_INTENTS": "",
}
# nats-server lets this one reply subject through between accounts. Cube's consumers take no
# acknowledgements, so there is nobody whom it reaches.
THROUGH = "$JS.ACK.CUBE_DECISIONS.c.1.1.1.1.0"
REPLIES = {subject: who for subject, who in PUBLISH.items() if subject != THROUGH}


def consumers():
    """Every way to make a consumer, with and without a subject to deliver to."""
    for stream in ("CUBE_INTENTS", "CUBE_DECISIONS", "CUBE_FACTS", "CUBE_DESIRED"):
        for target in ("", f"cube.assign.{TWO}", "cube.tasks.submit",
                       "$JS.API.STREAM.PURGE.CUBE_DECISIONS", "_INBOX.mine"):
            config = {"ack_policy": "none", "deliver_policy": "all"}
            if target:
                config["deliver_subject"] = target
            question = {"stream_name": stream, "config": config}
            named = {"stream_name": stream, "config": {**config, "durable_name": "c", "name": "c"}}
            yield f"$JS.API.CONSUMER.CREATE.{stream}", question
            yield f"$JS.API.CONSUMER.CREATE.{stream}.c", named
            yield f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.c", named
            yield f"cube.streams.{stream}", named
    for name in ("CUBE_INTENTS", "MINE"):
        mirror = {"name": name, "mirror": {"name": "CUBE_DECISIONS"}}
        yield f"$JS.API.STREAM.CREATE.{name}", mirror
        yield f"$JS.API.STREAM.UPDATE.{name}", mirror


def stored_header_tricks(checker):
    """Headers that change a stream or lead elsewhere, on messages that are allowed."""
    before = checker.state()
    checker.take()
    for role, subject in (("submitter", "cube.tasks.submit"), (ONE, f"cube.facts.{ONE}")):
        for header, value in (("Nats-Rollup", "all"), ("Nats-Rollup", "sub"), ("Nats-TTL", "1s"),
                              ("Nats-Trace-Dest", "$JS.API.STREAM.PURGE.CUBE_DECISIONS"),
                              ("Nats-Trace-Dest", "cube.decisions")):
            checker.links[role].publish(subject, "trick", "", {header: value})
    strange = [f"{role} hears {m.subject}" for role, messages in checker.take().items()
               for m in messages if m.subject in ("cube.decisions",
                                                  "$JS.API.STREAM.PURGE.CUBE_DECISIONS")
               and role == "manager"]
    return strange + checker.changed(before)


def whole_matrix(cluster):
    """What does not hold; each is a sentence."""
    checker = accounts.Checker(cluster, ROLES, home)
    try:
        for subject, payload in STORED.items():
            checker.links["manager"].append(subject, payload)
        return (checker.reading(READ) + checker.publishing(PUBLISH, HEAR) + checker.hearing(HEAR)
                + checker.replies(REQUESTS, REPLIES) + checker.delivering(consumers())
                + stored_header_tricks(checker))
    finally:
        checker.close()


def service(subject, account="CUBE"):
    return f'{{ service: {{ account: {account}, subject: "{subject}" }} }}'


def stream(subject):
    return f'{{ stream: {{ account: CUBE, subject: "{subject}" }} }}'


FIRST = f"CUBE_WORKER_{ONE}"
# One hole more in the configuration, and what the matrix must say of it.
WIDENED = {
    "a worker that submits": (
        [(FIRST, "imports", service("cube.tasks.*"))],
        f"{ONE} reaches cube.tasks.submit of manager"),
    "a worker that speaks for others": (
        [(FIRST, "imports", service("cube.facts.*"))],
        f"{ONE} reaches cube.facts.{TWO} of manager"),
    "a worker that is heard as the leader": (
        [(FIRST, "imports", service("cube.heartbeats.*"))],
        f"{ONE} reaches cube.heartbeats.-leader of manager"),
    "a worker that hears what another is told": (
        [(FIRST, "imports", stream("cube.assign.*"))],
        f"{ONE} hears cube.assign.{TWO}"),
    "a worker that hears another's set": (
        [(FIRST, "imports", stream("cube.desired.*.*"))],
        f"{ONE} hears cube.desired.{TWO}.0"),
    "a worker that reads another's set": (
        [(FIRST, "imports", service(GET + "CUBE_DESIRED.cube.desired.*.*"))],
        f"{ONE} reads set-of-two by {GET}CUBE_DESIRED.cube.desired.{TWO}.0 "),
    "a worker that commands another": (
        [(FIRST, "imports", service(f"cube.exec.{TWO}", f"CUBE_WORKER_{TWO}"))],
        f"{ONE} reaches cube.exec.{TWO} of {TWO}"),
    "a viewer that reads output": (
        [("CUBE_USER_viewer", "imports", service(f"cube.logs.{ONE}", FIRST))],
        f"viewer reaches cube.logs.{ONE} of {ONE}"),
    "a submitter that decides": (
        [("CUBE", "exports", '{ service: "cube.decisions" }'),
         ("CUBE_USER_submitter", "imports", service("cube.decisions"))],
        "submitter reaches cube.decisions of manager"),
    "a viewer that hears outcomes": (
        [("CUBE_USER_viewer", "imports", stream("cube.outcome.*"))],
        "viewer hears cube.outcome.mine"),
    "a viewer whose answers are intents": (
        [("CUBE_USER_viewer", "imports", service("cube.nodes.*"))],
        "viewer makes manager hear cube.nodes.drain"),
}


class MatrixTest(suite.Case):
    def matrix(self, widenings=(), replace=None):
        with accounts.AccountsCluster(nodes=[ONE, TWO]) as cluster:
            for widening in widenings:
                cluster.widen(*widening)
            if replace:
                cluster.write("accounts/server/accounts.conf", replace(cluster))
            accounts.make_streams(cluster)
            return whole_matrix(cluster)

    def test_nothing_works_that_should_not(self):
        self.assertEqual(self.matrix(), [])

    def test_the_matrix_sees_each_hole(self):
        for name, (widenings, finding) in WIDENED.items():
            with self.subTest(name):
                found = self.matrix(widenings)
                self.assertTrue(any(finding in line for line in found), found)

    def test_permissions_alone_are_a_hole(self):
        """Why roles are accounts: whoever may ask for anything could write decisions.

        On nats-server before 2.15 also erase the log, by an answer sent to $JS.API.STREAM.PURGE.
        """
        def one_account(cluster):
            users = [f"{{ nkey: {cluster.public_key('manager')} }}"]
            for role in ROLES[1:]:
                may = [s for s, who in PUBLISH.items() if role in who] + [
                    s for (s, _, _), who in READ.items() if role in who and ".>" not in s]
                users.append(f"{{ nkey: {cluster.public_key(role)}, permissions: {{ publish: "
                             f"{json.dumps(sorted(set(may)))}, subscribe: \">\" }} }}")
            return f"CUBE: {{ jetstream: enabled, users: [ {', '.join(users)} ] }}\n"
        found = self.matrix(replace=one_account)
        hole = "viewer makes manager hear cube.decisions"
        self.assertTrue(any(hole in line for line in found), found)


class MakeAccountsTest(suite.Case):
    def test_again_changes_nothing_and_bad_names_make_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            accounts.make_accounts(folder, "--workers", "2", "--user", "alice=logs,submit")
            conf = os.path.join(folder, "server/accounts.conf")
            with open(conf, encoding="ascii") as file:
                before = file.read()
            accounts.make_accounts(folder, "--workers", "2")
            for flags in (("--worker", "a.b"), ("--worker", "a\n}"), ("--worker", "alice"),
                          ("--user", "worker-1=view"), ("--user", "bob=root"), ("--user", "bob"),
                          ("--worker", "manager"), ("--cube", "Cube"), ("--revoke", "nobody"),
                          ("--workers", "x")):
                with self.subTest(flags), self.assertRaises(subprocess.CalledProcessError):
                    accounts.make_accounts(folder, *flags)
            with open(conf, encoding="ascii") as file:
                self.assertEqual(file.read(), before)
            self.assertIn("CUBE_USER_alice", before)
            self.assertNotIn("cube.exec.worker-1\" } }", before, "nobody has that role")


class RolesTest(suite.Case):
    """The programs do their whole work under these accounts."""

    def test_all_of_the_work(self):
        with accounts.AccountsCluster() as cluster:
            cluster.start_nats()
            cluster.start_manager()
            for letter in "ab":
                cluster.start_worker(letter, "--cpus", "2", "--metrics-interval", "1s")
            cluster.wait_ready()
            self.check_commands(cluster)
            self.check_refusals(cluster)
            self.check_servers_word(cluster)

    def check_commands(self, cluster):
        hello = cluster.cube("run", "--attach", "--name", "hello", "--restart", "no", "--engine",
                             "process", "--", "sh", "-c", "echo hello; exit 3", code=3)
        self.assertIn("hello\n", hello.out)
        web, = cluster.cube_as("submitter", "run", "-d", "--name", "web", "--engine", "process",
                               "--", "sh", "-c", "echo up; exec sleep 1000000").lines()
        node = cluster.wait_status({web: "running"})[web]["node"]
        self.assertIn(web, cluster.cube_as("viewer", "ps", "-q").lines())
        self.assertIn("running", cluster.cube_as("viewer", "status", web).out)
        self.assertIn("attempt 1 goes to", cluster.cube_as("viewer", "why", web).out)
        e2e.wait_for("metrics", lambda: "of 4 cpus" in cluster.cube_as("viewer", "top").out
                     or "not yet: " + cluster.cube_as("viewer", "top").out)
        doctor = cluster.cube_as("viewer", "doctor").out
        for finding in ("all 8 are there", "2 of 2 ready", "2 nodes within"):
            self.assertIn(finding, doctor)
        told = [json.loads(line).get("stream") for line in cluster.cube_as(
            "viewer", "events", "-o", "json").lines()]
        self.assertEqual({"intents", "decisions", "facts"} - set(told), set())

        self.assertEqual(cluster.cube_as("logs", "logs", web).out, "up\n")
        done = cluster.cube_as("exec", "exec", "-i", web, "cat", stdin=b"from here\n")
        self.assertEqual(done.out, "from here\n")
        with cluster.connect("viewer") as viewer:
            feed = viewer.subscribe("cube.events.web.>")
            viewer.flush()
            cluster.cube_as("submitter", "node", "drain", node)
            cluster.cube_as("submitter", "node", "uncordon", node)
            cluster.cube_as("submitter", "stop", web)
            statuses = []
            while not statuses or statuses[-1] != "stopped":
                statuses.append(json.loads(feed.next(60).payload)["status"])
        self.assert_in_order(["running", "stopping", "stopped"], statuses)
        cluster.cube_as("submitter", "run", "-d", "--name", "many", "--replicas", "2", "--engine",
                        "process", "--", "sleep", "1000000")
        self.assertEqual(cluster.cube_as("viewer", "job", "ls", "-q").lines(), ["many"])
        cluster.cube_as("submitter", "job", "stop", "many")
        cluster.cube_as("manager", "verify")

    def check_refusals(self, cluster):
        run = ("run", "-d", "--engine", "process", "--", "true")
        for who, args in (("viewer", run), ("logs", run), ("exec", run),
                          ("viewer", ("node", "cordon", cluster.node("a"))),
                          ("viewer", ("logs", "hello")),
                          ("submitter", ("logs", "hello"))):
            refused = cluster.cube_as(who, *args, code=UNREACHABLE)
            self.assertIn("this user may not", refused.err)
        nobody = cluster.cube("ps", code=UNREACHABLE, environment=cluster.without("CUBE_NKEY"))
        self.assertIn("--nkey", nobody.err)

    def check_servers_word(self, cluster):
        """The configuration says nothing of the private keys, and nobody else can read those."""
        with open(cluster.path("accounts/server/accounts.conf"), encoding="ascii") as conf:
            text = conf.read()
        for who in ("manager", *accounts.USERS, cluster.node("a")):
            with open(cluster.key(who), encoding="ascii") as seed:
                self.assertNotIn(seed.read().strip(), text)
            self.assertEqual(os.stat(cluster.key(who)).st_mode & 0o077, 0)
        # Output of a quiet task is followed for longer than the server's two minutes.
        self.assertEqual(text.count('response_threshold: "24h"'), 6)

    def test_keys_are_changed_and_taken_away(self):
        with accounts.AccountsCluster() as cluster:
            cluster.start()
            task, = cluster.run(cluster.spec("stays"))
            cluster.wait_status({task: "running"})
            with open(cluster.key("operator"), encoding="ascii") as seed:
                old = cluster.write("old.nk", seed.read())
            accounts.make_accounts(cluster.path("accounts"), "--rotate", "operator", "--revoke",
                                   "viewer", "--rotate", cluster.node("a"), "--worker",
                                   cluster.node("c"))
            cluster.reload_nats()

            def gone():
                return cluster.cube("ps", code=None, environment=cluster.without(
                    CUBE_NKEY=old)).code == UNREACHABLE
            e2e.wait_for("the end of the old key", gone)
            self.assertFalse(os.path.exists(cluster.key("viewer")))
            if cluster.is_alive("a"):  # its key has gone under it; what it runs has not
                cluster.end("a")
            cluster.start_worker("a")
            cluster.start_worker("c")
            cluster.wait_ready("abc")
            self.assertEqual(cluster.tasks()[task]["status"], "running")

    def test_tls(self):
        with accounts.AccountsCluster("a") as cluster:
            cluster.environment["CUBE_ALLOW_UNSAFE_TLS"] = "1"
            nkeys.make_certificates(cluster.dir)
            cluster.configuration += (
                f'tls {{ cert_file: "{cluster.path("server.pem")}", '
                f'key_file: "{cluster.path("server-key.pem")}" }}\n')
            cluster.environment["CUBE_TLSCA"] = cluster.path("ca.pem")
            cluster.start("a")
            done = cluster.cube("run", "--attach", "--name", "hello", "--restart", "no",
                                "--engine", "process", "--", "echo", "hello")
            self.assertIn("hello\n", done.out)
            plain = cluster.cube("ps", code=UNREACHABLE, environment=cluster.without("CUBE_TLSCA"))
            self.assertIn("certificates", plain.err)


if __name__ == "__main__":
    suite.main()
