"""Who may include what: the one table of the project's layers.

base <- domain <- cluster <- manager/core, worker/core are pure. The others are shells around them.
"""

# Folder -> folders of the project whose headers it may include (its own is always allowed).
# The longest matching folder counts.
LAYERS = {
    "shared/base": [],
    "shared/domain": ["shared/base"],
    "shared/cluster": ["shared/base", "shared/domain"],
    "services/manager/core": ["shared/base", "shared/domain", "shared/cluster"],
    # The engine's port is values and an interface, as pure as the core.
    "services/worker/core": ["shared/base", "shared/domain", "shared/cluster",
                             "services/worker/engine/engine.h",
                             "services/worker/engine/prober.h"],
    "shared/wire": ["shared/base", "shared/domain", "shared/cluster", "shared/bus/bus.h"],
    "shared/runtime": ["shared/base"],
    "shared/logging": ["shared/base", "shared/runtime"],
    "shared/bus": ["shared/base", "shared/domain", "shared/runtime", "shared/logging"],
    "shared/store": ["shared/base", "shared/domain", "shared/runtime", "shared/logging"],
    "shared/telemetry": ["shared/base", "shared/runtime"],
    "shared/service": ["shared"],
    # The supervisor and the driver that starts it share one folder's layout.
    "services/supervise": ["shared/base", "services/worker/engine/process",
                           "services/worker/engine/output_log.h"],
    "services/worker/engine": ["shared/base", "shared/domain", "shared/runtime", "shared/logging"],
    "services/manager": ["shared"],
    "services/worker": ["shared"],
    # `cube verify` reads the log and snapshots as a manager does, and compares its records.
    "services/cli": ["shared", "services/manager/log_reader.h", "services/manager/operation.h",
                     "services/manager/snapshot_reader.h", "services/manager/view_digest.h",
                     "services/manager/view_records.h", "services/manager/view_store.h"],
    "bench": ["shared", "services", "test/support"],
    "test": ["shared", "services", "test", "bench"],
}

# No clock, random device, thread, lock, logging, or header of a library with a wire or a disk.
PURE = [
    "shared/base",
    "shared/domain",
    "shared/cluster",
    "services/manager/core",
    "services/worker/core",
]

# Header (regular expression) -> folders that may include it; tests may include anything.
LIBRARIES = {
    r"nats/|nats\.h": ["shared/bus"],
    r"lmdb\.h": ["shared/store"],
    r"openssl/": ["shared/bus"],
    r"curl/": ["services/worker/engine/docker"],
    r"spdlog/": ["shared/logging"],
    # Beside the codecs: what the shells keep in their stores, ask and answer.
    r"google/protobuf/|cube/v1/": ["shared/wire", "services"],
    r"yaml-cpp/": ["shared/wire", "services/cli"],
    r"prometheus/": ["shared/telemetry"],
    r"CLI/": ["services", "shared/service"],
    r"toml\+\+/": ["shared/service"],
    # Values as those of the standard library, so pure folders may have them; nothing else of it.
    r"absl/(?!container/|hash/)": [],
}

# Standard headers that a pure folder may not include, beside all LIBRARIES.
IMPURE_HEADERS = (
    r"thread|mutex|shared_mutex|condition_variable|atomic|future|semaphore|latch|barrier|"
    r"stop_token|random|fstream|iostream|filesystem|ctime|time\.h|unistd\.h|"
    r"sys/.*|pthread\.h|signal\.h|csignal|fcntl\.h|poll\.h|netdb\.h|netinet/.*|arpa/.*|dirent\.h"
)

# Calls that a pure folder may not make: what is searched for -> what to do instead.
IMPURE_CALLS = {
    r"(system_clock|steady_clock|high_resolution_clock)::now": "take the time as an argument",
    r"\b(clock_gettime|gettimeofday|time)\s*\(\s*(CLOCK_\w+|NULL|nullptr|0|&)":
        "take the time as an argument",
    r"\b(s?rand|random|drand48|getrandom)\s*\(\s*\)": "take a cube::Random as an argument",
    r"\bstd::(random_device|mt19937(_64)?|default_random_engine)\b":
        "take a cube::Random as an argument",
    r"\bstd::(j?thread|mutex|shared_mutex|recursive_mutex|condition_variable|atomic|async)\b":
        "one thread owns the state; the shell has the threads",
    r"\b(std::)?getenv\s*\(": "the shell reads the environment",
    r"(?<!\w)(std::)?(f|v|vf)?printf\s*\(": "return text; the shell prints it",
    r"\bstd::(cout|cerr|clog)\b": "return text; the shell prints it",
    r"\bspdlog::": "return what happened; the shell logs it",
    r"\b(std::)?f(open|write|puts)\s*\(": "the shell has the files",
    r"\bsleep(_for|_until)?\s*\(|\bu?sleep\s*\(": "no core waits",
}

# A failed CUBE_CHECK says where, and ends the process: its one file may print.
CALLS_ALLOWED = {"shared/base/check.cc"}

# Where JSON is parsed; format.cc reads what it has just written.
JSON_PARSED = {"shared/base/json.cc", "shared/wire/json_text.cc", "services/cli/render/format.cc"}


def layer_of(path):
    """The folder of LAYERS that holds `path`, or None."""
    folders = [folder for folder in LAYERS if path.startswith(folder + "/")]
    return max(folders, key=len, default=None)


def is_pure(path):
    return any(path.startswith(folder + "/") for folder in PURE)
