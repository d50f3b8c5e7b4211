#include "services/cli/spec_file.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "shared/wire/human.h"

namespace cube::cli {
namespace {

// A file of tasks for people; larger ones are made by programs, which can split them.
constexpr std::size_t kSpecFileBytesMax = 16u << 20;

Result<std::string> ReadAll(std::istream& in, const std::string& path) {
  std::string text;
  std::array<char, 64u << 10> part{};
  while (in.read(part.data(), part.size()) || in.gcount() > 0) {
    text.append(part.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > kSpecFileBytesMax) {
      return Fail(Code::kInvalid, fmt::format("{} is larger than 16 MiB; split it", path));
    }
  }
  return text;
}

// The place in the file comes before the field.
std::unexpected<Error> In(std::string_view place, const Error& error) {
  return Fail(error.code, fmt::format("{}: {}", place, error.Text()));
}

// {"tasks": [...]}, as a message may be too.
bool IsListOfTasks(const nlohmann::json& json) {
  return json.is_object() && json.size() == 1 && json.contains("tasks") && json["tasks"].is_array();
}

}  // namespace

Result<SpecFile> ParseSpecText(const std::string& path, std::string_view text) {
  auto json = path.ends_with(".json") ? wire::ParseJson(text) : wire::ParseYaml(text);
  if (!json) return In("reading " + path, json.error());
  if (IsListOfTasks(*json)) json = nlohmann::json(std::move((*json)["tasks"]));
  SpecFile file;
  if (wire::LooksLikeJob(*json)) {
    auto job = wire::JobFromHuman(*json);
    if (!job) return In(path, job.error());
    file.job = std::move(*job);
    return file;
  }
  if (!json->is_array()) {
    auto task = wire::TaskFromHuman(*json);
    if (!task) return In(path, task.error());
    file.tasks.push_back(std::move(*task));
    return file;
  }
  for (std::size_t i = 0; i < json->size(); ++i) {
    auto task = wire::TaskFromHuman((*json)[i]);
    if (!task) return In(fmt::format("{}: task {}", path, i + 1), task.error());
    file.tasks.push_back(std::move(*task));
  }
  if (file.tasks.empty()) return Fail(Code::kInvalid, fmt::format("{} lists no task", path));
  return file;
}

Result<SpecFile> ReadSpecFile(const std::string& path) {
  if (path == "-") {
    CUBE_TRY(const std::string text, ReadAll(std::cin, "standard input"));
    return ParseSpecText("standard input", text);
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Fail(Code::kInvalid,
                fmt::format("cannot read the spec file {}: {}", path, std::strerror(errno)));
  }
  CUBE_TRY(const std::string text, ReadAll(file, path));
  return ParseSpecText(path, text);
}

}  // namespace cube::cli
