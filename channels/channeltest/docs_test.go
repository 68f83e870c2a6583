package channeltest_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocsShowThisVeryCode: docs/channels.md shows the files of this example,
// whole, so what people copy is what was compiled and examined.
func TestDocsShowThisVeryCode(t *testing.T) {
	doc, err := os.ReadFile("../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"example_test.go", "example_exam_test.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(doc), "```go\n"+string(code)+"```\n") {
			t.Errorf("docs/channels.md does not show %s as it is; copy the file into its code block", file)
		}
	}
}
