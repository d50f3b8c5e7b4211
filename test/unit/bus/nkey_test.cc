#include "shared/bus/nkey.h"

#include <gtest/gtest.h>

namespace cube::bus {
namespace {

// From the documentation of nats-server (nkeys): "nk -gen user -pubout".
constexpr std::string_view kSeed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
constexpr std::string_view kPublic = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

TEST(PublicNkey, IsThatOfTheSeed) {
  EXPECT_EQ(PublicNkey(kSeed), std::string(kPublic));
  EXPECT_EQ(PublicNkey("-----BEGIN USER NKEY SEED-----\r\n" + std::string(kSeed) +
                       "\r\n------END USER NKEY SEED------\n"),
            std::string(kPublic));
}

TEST(PublicNkey, OfSomethingElseIsInvalidAndIsNotRepeated) {
  std::string typo(kSeed);
  typo[20] = typo[20] == 'A' ? 'B' : 'A';
  std::string account(kSeed);
  account[1] = 'A';
  for (const std::string& text : {std::string(), std::string("SU"), typo, account,
                                  std::string(kPublic), std::string(58, '!')}) {
    const auto key = PublicNkey(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, Code::kInvalid);
    if (text.size() > 8) {
      EXPECT_EQ(key.error().message.find(text.substr(0, 8)), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace cube::bus
