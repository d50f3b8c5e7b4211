#include "bench/cluster/figures.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace cube::bench {
namespace {

TEST(Figures, SaysWhatWasMeasuredAndWhatWasNot) {
  Figures figures;
  figures.Add("a.seconds", 3, "s", 2);
  figures.Add("a.memory_mb", 10, "MB");
  figures.NotMeasured("a.docker_ms", "ms", "no engine");
  const nlohmann::json expected = {
      {{"name", "a.seconds"}, {"value", 3.0}, {"unit", "s"}, {"limit", 2.0}, {"ratio", 1.5}},
      {{"name", "a.memory_mb"}, {"value", 10.0}, {"unit", "MB"}, {"limit", {}}, {"ratio", {}}},
      {{"name", "a.docker_ms"}, {"value", {}}, {"unit", "ms"}, {"limit", {}}, {"ratio", {}}},
  };
  EXPECT_EQ(nlohmann::json::parse(figures.Json()), expected);
}

TEST(Figures, AFileThatCannotBeWrittenIsAnError) {
  const Result<void> written = Figures().Write("/nowhere/figures.json");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().Text().find("/nowhere/figures.json"), std::string::npos);
}

}  // namespace
}  // namespace cube::bench
