package templates

import (
	"maps"
	"slices"
	"strings"

	"rapport"
	"rapport/channels"
	"rapport/internal/strictyaml"
)

// Schema is what is known of contacts, so that slips of the pen are found
// before a letter leaves.
type Schema struct {
	Attributes []string // declared or learned; nil: not known yet, so not checked
	Addresses  []string // address kinds
	Strict     bool     // an unknown attribute is an error, not a warning
	Marketing  bool     // the letter needs a way to unsubscribe
}

// bigLetter is the size of HTML above which large mail services hide the rest.
const bigLetter = 100 << 10

// Lint compiles a content and says everything that is wrong or doubtful in
// it, each with its place. A content without errors can be sent.
func Lint(content Content, driver channels.Driver, schema Schema) Problems {
	letter, problems := build(content, driver, &linkTable{})
	for _, v := range letter.variants {
		problems = append(problems, v.lint(content, schema)...)
	}
	return problems.sorted()
}

func (v *variant) lint(content Content, schema Schema) Problems {
	var out Problems
	for _, c := range v.checks {
		if c.derived {
			continue
		}
		out = append(out, c.unknownNames(schema)...)
		out = append(out, c.unusedNames()...)
		out = append(out, c.safeValues()...)
		if c.syntax == channels.HTML {
			out = append(out, c.letterRules(len(content.Sources[v.locale][c.part]), schema)...)
		}
	}
	for _, p := range out {
		p.Locale = v.locale
	}
	return out
}

func (c *compiler) unknownNames(schema Schema) Problems {
	known := append([]string{"id", "external_id", "locale", "time_zone"}, schema.Addresses...)
	known = append(known, schema.Attributes...)
	var out Problems
	for i, path := range c.reads {
		line := c.readsAt[i]
		switch root := path[0]; {
		case root == rootContact && len(path) > 1:
			if schema.Attributes != nil && !slices.Contains(known, path[1]) {
				p := problemf(c.part, line, "reads contact.%s, which no contact has%s", path[1], suggestion("contact.", path[1], known))
				p.Warning = !schema.Strict
				out = append(out, p)
			}
		case root == rootLinks && len(path) > 1:
			if links := []string{"unsubscribe", "preferences", "view", "renew"}; !slices.Contains(links, path[1]) {
				out = append(out, problemf(c.part, line, "reads links.%s; there are only links.unsubscribe, links.preferences, links.view and links.renew", path[1]))
			}
		case root == rootCampaign && len(path) > 1 && path[1] != "name":
			out = append(out, problemf(c.part, line, "reads campaign.%s; there is only campaign.name", path[1]))
		case isRoot(root):
		default:
			if _, made := c.from[root]; !made {
				roots := []string{rootContact, rootData, rootCampaign, rootLinks, rootNow}
				roots = slices.AppendSeq(roots, maps.Keys(c.from))
				hint := suggestion("", root, roots)
				if hint == "" && slices.Contains(known, root) {
					hint = "; did you mean contact." + root + "?"
				}
				if hint == "" {
					hint = "; there are contact.…, data.…, campaign.name, links.… and now"
				}
				out = append(out, problemf(c.part, line, "reads %s, which does not exist%s", root, hint))
			}
		}
	}
	return out
}

func suggestion(prefix, name string, known []string) string {
	if near := strictyaml.Nearest(name, known); near != "" {
		return "; did you mean " + prefix + near + "?"
	}
	return ""
}

func (c *compiler) unusedNames() Problems {
	var out Problems
	for _, name := range slices.Sorted(maps.Keys(c.from)) {
		if !slices.ContainsFunc(c.reads, func(p []string) bool { return p[0] == name }) {
			p := problemf(c.part, 0, "makes %q but never uses it; remove it", name)
			p.Warning = true
			out = append(out, p)
		}
	}
	return out
}

// safeValues finds values that are said to be harmless HTML and may not be.
func (c *compiler) safeValues() Problems {
	var out Problems
	for _, u := range c.uses {
		if u.name != "safe" {
			continue
		}
		roots := c.from.roots(facts{paths: u.from})
		switch {
		case slices.Contains(roots, rootContact):
			out = append(out, problemf(c.part, u.line, "puts a contact's value into the letter as HTML; remove \"safe\", people may write anything into their own fields"))
		case slices.Contains(roots, rootData):
			p := problemf(c.part, u.line, "puts data into the letter as HTML; keep \"safe\" only if you make that HTML yourself")
			p.Warning = true
			out = append(out, p)
		}
	}
	return out
}

func (c *compiler) letterRules(size int, schema Schema) Problems {
	var out Problems
	if schema.Marketing && !c.leaves() {
		out = append(out, problemf(c.part, 0, "has no way to unsubscribe; add <a href=\"{{ links.unsubscribe }}\">"))
	}
	if size > bigLetter {
		p := problemf(c.part, 0, "is %d KB long; large mail services hide what comes after 100 KB", size>>10)
		p.Warning = true
		out = append(out, p)
	}
	return out
}

// checkContent applies the rules of names and locales, which need no driver.
func checkContent(t Template, content Content) error {
	if err := rapport.CheckName("name", t.Name); err != nil {
		return err
	}
	if t.Topic != "" {
		if err := rapport.CheckName("topic", t.Topic); err != nil {
			return err
		}
	}
	for locale := range content.Sources {
		if !localePattern.MatchString(locale) {
			return rapport.Invalidf("locale", "%q is not a locale; use a language like en or a language with a country like de-AT", strings.TrimSpace(locale))
		}
	}
	return nil
}
