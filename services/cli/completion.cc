// cube completion: scripts for shells. All of them ask `cube __complete WORDS...` what fits, so
// that flags, commands and the names of tasks and nodes are completed alike everywhere.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/complete.h"
#include "services/cli/exit_code.h"
#include "services/cli/session.h"

namespace cube::cli {
namespace {

constexpr std::string_view kBash = R"(# bash completion for cube: source <(cube completion bash)
_cube() {
  local line IFS=$'\n'
  COMPREPLY=()
  local cur="${COMP_WORDS[COMP_CWORD]}"
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  while read -r line; do
    if [[ "$line" == ":files" ]]; then
      compopt -o filenames 2>/dev/null
      COMPREPLY+=($(compgen -f -- "$cur"))
    else
      COMPREPLY+=("${line%%$'\t'*}")
    fi
  done < <(cube __complete "${words[@]}" 2>/dev/null)
  if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace; fi
}
complete -F _cube cube
)";

constexpr std::string_view kZsh = R"(#compdef cube
# zsh completion for cube: source <(cube completion zsh)
_cube() {
  local -a found
  local line word text files=0
  while IFS= read -r line; do
    if [[ "$line" == ":files" ]]; then
      files=1
      continue
    fi
    word="${line%%$'\t'*}"
    text="${line#*$'\t'}"
    if [[ "$text" == "$line" ]]; then text=""; fi
    found+=("${word//:/\\:}${text:+:$text}")
  done < <(cube __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( files )); then _files; fi
  if (( ${#found} )); then _describe 'cube' found; fi
}
compdef _cube cube
)";

constexpr std::string_view kFish = R"(# fish completion for cube: cube completion fish | source
function __cube_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (cube __complete $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c cube -f -a '(__cube_complete)'
)";

Result<int> Completion(Session& session) {
  const std::string& shell = session.args().operands.front();
  std::ostream& out = session.terminal().out;
  if (shell == "bash") {
    out << kBash;
  } else if (shell == "zsh") {
    out << kZsh;
  } else if (shell == "fish") {
    out << kFish;
  } else {
    return Fail(Code::kInvalid,
                fmt::format("there is no completion for '{}': it is bash, zsh or fish", shell));
  }
  return kExitDone;
}

// Names come from the cluster, if it answers quickly; else there are none.
std::vector<Candidate> Names(Session& session, Word word) {
  std::vector<Candidate> names;
  const auto client = session.client();
  if (!client) return names;
  if (word == Word::kTask || word == Word::kTaskOrNode) {
    v1::QueryRequest request;
    request.set_include_finished(true);
    if (const auto reply = (*client)->Query("tasks", request)) {  // one page is enough to choose
      for (const auto& task : reply->tasks()) names.push_back({task.id(), task.status()});
    }
  }
  if (word == Word::kJob || word == Word::kTask || word == Word::kTaskOrNode) {
    if (const auto jobs = (*client)->Jobs(false)) {
      for (const auto& job : *jobs) names.push_back({job.name(), "job, " + job.status()});
    }
  }
  if (word == Word::kNode || word == Word::kTaskOrNode) {
    if (const auto nodes = (*client)->Nodes()) {
      for (const auto& node : *nodes) names.push_back({node.name(), node.status()});
    }
  }
  return names;
}

Result<int> Complete(Session& session) {
  const auto found = CompleteWords(session.root(), session.args().operands,
                                   [&](Word word) { return Names(session, word); });
  std::ostream& out = session.terminal().out;
  for (const auto& candidate : found.candidates) {
    out << candidate.word;
    if (!candidate.help.empty()) out << '\t' << candidate.help;
    out << '\n';
  }
  if (found.files) out << ":files\n";
  return kExitDone;
}

}  // namespace

CommandSpec CompletionCommand() {
  return {.name = "completion",
          .summary = "Print a script that completes commands, flags and names in a shell.",
          .operands = "bash|zsh|fish",
          .examples = {{"in this bash", "source <(cube completion bash)"},
                       {"in fish, for good",
                        "cube completion fish > ~/.config/fish/completions/cube.fish"}},
          .exit_codes = {kExitDone, kExitUsage},
          .operands_min = 1,
          .operands_max = 1,
          .word = Word::kShell,
          .run = Completion};
}

CommandSpec CompleteCommand() {
  return {.name = "__complete",
          .summary = "Print what fits as the last word, one a line.",
          .operands = "WORD...",
          .operands_max = kOperandsMany,
          .passes_through = true,
          .hidden = true,
          .run = Complete};
}

}  // namespace cube::cli
