// The task that `cube run IMAGE [COMMAND...]` with docker's flags means.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/cli/args.h"
#include "services/cli/settings.h"
#include "shared/domain/intent.h"

namespace cube::cli {

// The flags of `cube run` that describe the task.
[[nodiscard]] std::vector<FlagSpec> SpecFlags();
// Which of them were given: they cannot be combined with -f.
[[nodiscard]] std::vector<std::string> SpecFlagsGiven(const Args& args);

// kInvalid names the flag; kUnsupported: this version cannot do that yet. The id stays empty unless
// --id gives it. Variables for `-e NAME` come from the environment, --env-file is read there too.
[[nodiscard]] Result<SubmitTask> SpecFromFlags(const Args& args, const Environment& environment);

// `-e NAME=value`, or `-e NAME`: as it is in the environment of this process, if it is. kInvalid
// names the flag.
[[nodiscard]] Result<void> AddVariable(std::string_view flag, const std::string& text,
                                       const Environment& environment,
                                       std::map<std::string, std::string>& env);

// Whether the flags mean a job: --replicas or --type.
[[nodiscard]] bool IsJob(const Args& args);
// The job that they mean; as SpecFromFlags.
[[nodiscard]] Result<JobSpec> JobFromFlags(const Args& args, const Environment& environment);

// A name for a task of this image ("nginx" for "docker.io/library/nginx:1.25") or program.
[[nodiscard]] std::string NameFor(std::string_view image_or_program);

// "a\"b c\" d" as a shell splits it, without expansions: for --entrypoint.
[[nodiscard]] Result<std::vector<std::string>> SplitWords(std::string_view text);

}  // namespace cube::cli
