"""A cluster whose server asks who somebody is."""

import json
import os

from lib import cluster as e2e


class SecuredCluster(e2e.Cluster):
    """Its server has a configuration; `environment` has what opens it."""

    def __init__(self, **variables):
        super().__init__("process")
        self.configuration = ""
        self.scheme = "nats"
        self.environment.update(variables)

    def start_nats(self):
        folder = self.path("nats")
        os.makedirs(folder, exist_ok=True)
        # JetStream is in the file: nats-server 2.9 ends it at a reload where only a flag asks.
        file = self.write("server.conf", f'jetstream {{ store_dir: "{folder}" }}\n'
                                         + self.configuration)
        self._spawn("nats", [e2e.nats_server(), "-c", file, "-a", "127.0.0.1", "-p",
                             str(self.port or -1), "--ports_file_dir", folder])
        pid = self.processes["nats"].pid

        def ready():
            self.check_alive()
            for name in os.listdir(folder):
                if name.endswith(f"_{pid}.ports") and os.path.getsize(os.path.join(folder, name)):
                    with open(os.path.join(folder, name), encoding="utf-8") as ports:
                        self.port = int(json.load(ports)["nats"][0].rsplit(":", 1)[1])
                    return True
            return False
        e2e.wait_for("nats-server", ready, e2e.UP_SECONDS)
        self.environment["CUBE_SERVER"] = f"{self.scheme}://127.0.0.1:{self.port}"

    def write(self, name, text):
        file = self.path(name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return file

    def without(self, *names, **more):
        """The environment without these variables, and with more."""
        return {**{k: v for k, v in self.environment.items() if k not in names}, **more}
