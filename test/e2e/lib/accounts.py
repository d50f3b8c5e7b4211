"""A cluster under the accounts of deploy/nats, and who may do what in it, as a checker sees it."""

import json
import os
import signal
import subprocess

from lib import cluster as e2e
from lib.nats import Nats
from lib.secured import SecuredCluster

MAKE_ACCOUNTS = os.path.join(os.path.dirname(__file__), "../../../deploy/nats/make-accounts")
MAKE_SECONDS = 120
STREAMS = 8
USERS = ["viewer", "submitter", "logs", "exec", "operator"]


def make_accounts(folder, *flags):
    subprocess.run([MAKE_ACCOUNTS, "--out", folder, *flags], timeout=MAKE_SECONDS, check=True,
                   capture_output=True)


class AccountsCluster(SecuredCluster):
    """Each program has the key of its role; `cube` is the operator's, unless told otherwise."""

    def __init__(self, workers="ab", nodes=None):
        super().__init__()
        nodes = nodes or [self.node(letter) for letter in workers]
        make_accounts(self.path("accounts"),
                      *(flag for node in nodes for flag in ("--worker", node)))
        self.configuration = "accounts { include accounts/server/accounts.conf }\n"
        self.environment["CUBE_NKEY"] = self.key("operator")

    def key(self, who):
        """The seed of a role, or of a node's worker."""
        kind = "manager" if who == "manager" else "users" if who in USERS else "workers"
        return self.path("accounts", kind, who + ".nk")

    def start_manager(self, name="manager", *flags):
        super().start_manager(name, "--nkey", self.key("manager"), *flags)

    def start_worker(self, letter, *flags, **more):
        super().start_worker(letter, "--nkey", self.key(self.node(letter)), *flags, **more)

    def connect(self, who="manager"):
        return Nats("127.0.0.1", self.port, self.key(who))

    def cube_as(self, who, *args, **more):
        return self.cube(*args, environment=self.without(CUBE_NKEY=self.key(who)), **more)

    def reload_nats(self):
        """Twice: nats-server wires the imports of accounts that are new at the second reload."""
        for count in (1, 2):
            self.processes["nats"].send_signal(signal.SIGHUP)
            e2e.wait_for("the reload", lambda count=count: self._reloads() == count)

    def _reloads(self):
        with open(self.path("nats.log"), encoding="utf-8") as log:
            return log.read().count("Reloaded server configuration")

    def widen(self, account, kind, lines):
        """Puts lines into the imports or exports of an account."""
        file = self.path("accounts/server/accounts.conf")
        with open(file, encoding="utf-8") as conf:
            before, found, after = conf.read().partition(f"\n{account}: {{\n")
        head, there, rest = after.partition(f"  {kind}: [\n")
        assert found and there, f"{account} with {kind} is not in {file}"
        with open(file, "w", encoding="utf-8") as conf:
            conf.write(before + found + head + there + lines + "\n" + rest)

    def public_key(self, who):
        kind = os.path.basename(os.path.dirname(self.key(who)))
        with open(self.path("accounts/server/keys", kind, who), encoding="ascii") as file:
            return file.read().split()[0]


class Checker:
    """Tries what each role can reach, and says what it could and should not, or the reverse.

    Every role has a connection that hears all that its account gives it. These connections also
    answer for managers and workers, to whatever subject a request names: what holds then does not
    rest on how careful the services are. A role's messages are at home in its own account, where
    nobody else is.
    """

    def __init__(self, cluster, roles, home):
        """home(subject): the role in whose account a subject belongs."""
        self.links = {role: cluster.connect(role) for role in roles}
        self.heard = {role: link.subscribe(">") for role, link in self.links.items()}
        self.home = home
        self._count = 0

    def close(self):
        for link in self.links.values():
            link.close()

    def streams(self):
        return sorted(self.links["manager"].api("STREAM.NAMES")["streams"])

    def token(self):
        self._count += 1
        return f"token-{self._count}-"

    def take(self):
        """role -> what it has heard since; all that was sent has arrived where it could."""
        for link in self.links.values():
            link.flush()
        # JetStream answers in the order of the questions.
        for stream in self.streams():
            self.links["manager"].request(f"$JS.API.DIRECT.GET.{stream}", '{"seq":1}')
        for link in self.links.values():
            link.flush()
        return {role: subscription.drain() for role, subscription in self.heard.items()}

    def state(self):
        """What must not change, whoever asks: the streams' settings, beginnings and consumers."""
        found = {}
        for stream in self.streams():
            info = self.links["manager"].api(f"STREAM.INFO.{stream}")
            state, config = info["state"], info["config"]
            rolls = config.get("max_msgs_per_subject", -1) > 0
            found[stream] = (json.dumps(config, sort_keys=True), info["created"],
                             0 if rolls else state["first_seq"],
                             0 if rolls else state.get("num_deleted", 0), state["consumer_count"])
        return found

    def changed(self, before):
        after = self.state()
        return [f"{stream} has changed: {before.get(stream)} -> {after.get(stream)}"
                for stream in sorted({*before, *after}) if before.get(stream) != after.get(stream)]

    def publishing(self, table, hear):
        """Who reaches what.

        table: subject -> roles that reach it. hear: subject -> roles that hear it then.
        """
        before = self.state()
        self.take()
        sent = {}
        for subject, allowed in table.items():
            for role in set(self.links) - {self.home(subject)}:
                token = self.token()
                sent[token] = role, subject, allowed
                self.links[role].publish(subject, token)
        heard = {role: _tokens(messages) for role, messages in self.take().items()}
        wrong = []
        for token, (sender, subject, allowed) in sent.items():
            for role in set(heard) - {sender}:
                hears = token in heard[role]
                listens = role == self.home(subject) or role in hear.get(subject, ())
                if hears != (sender in allowed and listens):
                    wrong.append(f"{sender} {'reaches' if hears else 'does not reach'} "
                                 f"{subject} of {role}")
        return wrong + self.changed(before)

    def hearing(self, table):
        """table: subject -> roles that hear what is sent there by whom it belongs to."""
        self.take()
        sent = {self.token(): subject for subject in table}
        for token, subject in sent.items():
            self.links[self.home(subject)].publish(subject, token)
        wrong = []
        for role, messages in self.take().items():
            heard = _tokens(messages)
            for token, subject in sent.items():
                if (token in heard) != (role in table[subject]):
                    wrong.append(f"{role} {'hears' if token in heard else 'does not hear'} "
                                 f"{subject}")
        return wrong

    def reading(self, table):
        """table: (subject, question, what it brings) -> roles that it brings it to."""
        sent = {}
        for (subject, question, brings), allowed in table.items():
            for role, link in self.links.items():
                inbox = f"_INBOX.reading.{self.token()}"
                sent[inbox] = role, subject, question, brings, allowed
                link.publish(subject, question, inbox)
        answers = {(role, m.subject): str(m)
                   for role, messages in self.take().items() for m in messages}
        wrong = []
        for inbox, (role, subject, question, brings, allowed) in sent.items():
            reads = brings in answers.get((role, inbox), "")
            if reads != (role in allowed):
                wrong.append(f"{role} {'reads' if reads else 'does not read'} {brings} by "
                             f"{subject} {question}")
        return wrong

    def replies(self, requests, targets):
        """No answer arrives in another account at a subject that whoever asked may not reach.

        requests: subject -> question. targets: a subject named for the answer -> roles that may
        publish there themselves.
        """
        wrong = []
        before = self.state()
        for asker in set(self.links) - {"manager"}:
            foreign = [reply for reply, allowed in targets.items() if asker not in allowed]
            self.take()
            for reply in foreign:
                for subject, question in requests.items():
                    self.links[asker].publish(subject, question, reply, {"Cube-Outcome": reply})
            for role, messages in self.take().items():
                wrong += _arrived(asker, role, messages, foreign)
                for message in messages:
                    if message.reply and message.subject in requests and role != asker:
                        self.links[role].publish(message.reply, f"answer of {role}")
            for role, messages in self.take().items():
                wrong += _arrived(asker, role, messages, foreign)
        return wrong + self.changed(before)

    def delivering(self, requests):
        """requests: (subject, question). None of them makes anything, but for a manager."""
        before = self.state()
        for subject, question in requests:
            for role, link in self.links.items():
                if role != "manager":
                    link.publish(subject, json.dumps(question), "_INBOX.delivering")
        self.take()
        return self.changed(before)


def _tokens(messages):
    return {m.payload.decode("utf-8", "replace") for m in messages}


def _arrived(asker, role, messages, foreign):
    """What came to a subject that the asker may not reach, in another's account."""
    return [f"{asker} makes {role} hear {m.subject}: {m.payload[:60]!r}" for m in messages
            if m.subject in foreign and role != asker]


def make_streams(cluster):
    """The streams as managers make them; no manager runs afterwards."""
    cluster.start_nats()
    cluster.start_manager()
    with cluster.connect() as link:
        e2e.wait_for("the streams", lambda: len(link.api("STREAM.NAMES")["streams"] or [])
                     == STREAMS)
        cluster.end("manager")
        for stream in link.api("STREAM.NAMES")["streams"]:
            for consumer in link.api(f"CONSUMER.NAMES.{stream}")["consumers"] or []:
                link.api(f"CONSUMER.DELETE.{stream}.{consumer}")
