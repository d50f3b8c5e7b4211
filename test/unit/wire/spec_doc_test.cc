// The examples of docs/SPEC.md are accepted as they stand there.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "shared/wire/human.h"

namespace cube::wire {
namespace {

std::string Document() {
  std::ifstream file(CUBE_SPEC_DOC);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The contents of each ```yaml block.
std::vector<std::string> YamlBlocks(const std::string& document) {
  constexpr std::string_view kOpen = "```yaml\n";
  std::vector<std::string> blocks;
  for (std::size_t at = document.find(kOpen); at != std::string::npos;
       at = document.find(kOpen, at)) {
    at += kOpen.size();
    blocks.push_back(document.substr(at, document.find("```", at) - at));
  }
  return blocks;
}

TEST(SpecDocument, ItsYamlIsAccepted) {
  const auto blocks = YamlBlocks(Document());
  ASSERT_EQ(blocks.size(), 7U);
  for (const std::string& block : blocks) {
    auto value = ParseYaml(block);
    ASSERT_TRUE(value) << value.error().Text() << "\n" << block;
    if (LooksLikeJob(*value)) {
      const auto job = JobFromHuman(*value);
      EXPECT_TRUE(job) << job.error().Text() << "\n" << block;
      continue;
    }
    // A part of a task, on its own: the ports' block repeats one port on purpose.
    if (value->contains("ports") && !value->contains("name")) {
      for (const auto& port : (*value)["ports"]) {
        const nlohmann::json task{{"name", "web"}, {"image", "nginx"}, {"ports", {port}}};
        const auto read = TaskFromHuman(task);
        EXPECT_TRUE(read) << port.dump() << ": " << read.error().Text();
      }
      continue;
    }
    if (!value->contains("name")) value->update({{"name", "web"}, {"image", "nginx"}});
    const auto task = TaskFromHuman(*value);
    EXPECT_TRUE(task) << task.error().Text() << "\n" << block;
  }
}

// The last column of the table of fields: an example of each field's value.
TEST(SpecDocument, ItsTableIsAccepted) {
  std::istringstream lines(Document());
  int fields = 0;
  int of_jobs = 0;
  bool jobs = false;
  for (std::string line; std::getline(lines, line);) {
    jobs = jobs || line.starts_with("| field of a job |");
    if (!line.starts_with("| `") || !line.ends_with("` |")) continue;
    const std::string field = line.substr(3, line.find('`', 3) - 3);
    const std::size_t end = line.size() - 3;
    const std::size_t start = line.rfind('`', end - 1) + 1;
    auto value = ParseYaml(field + ": " + line.substr(start, end - start));
    ASSERT_TRUE(value) << line << ": " << value.error().Text();
    nlohmann::json task{{"name", "web"}};
    if (jobs) {
      nlohmann::json job{{"name", "web"}, {"task", {{"image", "nginx"}}}};
      job.update(*value);
      const auto read = JobFromHuman(job);
      EXPECT_TRUE(read) << line << ": " << read.error().Text();
      ++of_jobs;
      continue;
    }
    const bool process = field == "engine";
    process ? task["command"] = {"true"} : task["image"] = "nginx";
    task.update(*value);
    const auto read = TaskFromHuman(task);
    EXPECT_TRUE(read) << line << ": " << read.error().Text();
    ++fields;
  }
  EXPECT_EQ(fields, 30);
  EXPECT_EQ(of_jobs, 5);
}

}  // namespace
}  // namespace cube::wire
