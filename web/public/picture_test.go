package public

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport"
)

func TestReadPicture(t *testing.T) {
	var small, wide, photo bytes.Buffer
	for _, err := range []error{
		png.Encode(&small, image.NewGray(image.Rect(0, 0, 20, 10))),
		png.Encode(&wide, image.NewGray(image.Rect(0, 0, maxSide+1, 1))),
		jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 20, 10)), nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	svg := func(inner string) []byte {
		return []byte(`<?xml version="1.0"?><!-- logo --><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:ink="http://ink.example/ns" viewBox="0 0 9 9">` + inner + `</svg>`)
	}
	for name, c := range map[string]struct {
		data []byte
		want string // type, or a part of the complaint
	}{
		"png":               {small.Bytes(), "image/png"},
		"jpeg":              {photo.Bytes(), "image/jpeg"},
		"too wide":          {wide.Bytes(), "at most 4000 a side"},
		"too heavy":         {make([]byte, maxPicture+1), "larger than 512 KB"},
		"drawing":           {svg(`<style>.a{fill:url(#g)}</style><defs><linearGradient id="g"/></defs><path class="a" d="M0 0"/><use xlink:href="#g"/>`), svgType},
		"drawing program":   {svg(`<ink:view zoom="1"/><g ink:label="x"/>`), svgType},
		"script":            {svg(`<script>alert(1)</script>`), "<script> may run"},
		"script in html":    {svg(`<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>`), "<script> may run"},
		"script in a part":  {svg(`<ink:x><script>alert(1)</script></ink:x>`), "<script> may run"},
		"event":             {svg(`<path onLoad="alert(1)"/>`), "onLoad may run"},
		"foreign object":    {svg(`<foreignObject/>`), "may run or load"},
		"animation":         {svg(`<a><set attributeName="href" to="javascript:alert(1)"/></a>`), "may run or load"},
		"picture elsewhere": {svg(`<image href="https://evil.example/p.png"/>`), "may run or load"},
		"use elsewhere":     {svg(`<use href="https://evil.example/s.svg#a"/>`), "leads elsewhere"},
		"javascript":        {svg(`<use xlink:href=" java` + "\n" + `script:alert(1)"/>`), "leads elsewhere"},
		"style":             {svg(`<path style="fill:url('https://evil.example/x')"/>`), "loads something"},
		"style sheet":       {svg(`<style>@IMPORT "https://evil.example/x.css";</style>`), "loads something"},
		"hidden style":      {svg(`<style>a{background:u\72l(https://evil.example)}</style>`), "loads something"},
		"entity":            {[]byte(`<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>`), "declares entities"},
		"style by name":     {[]byte(`<?xml-stylesheet href="https://evil.example/x.css"?><svg xmlns="http://www.w3.org/2000/svg"/>`), "asks for a style sheet"},
		"page":              {[]byte("<!doctype html><html><body>hello"), "none of these kinds"},
		"words":             {[]byte("hello"), "none of these kinds"},
		"cut off":           {svg("")[:60], "none of these kinds"},
		"nothing":           {nil, "none of these kinds"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ReadPicture("pages.logo", c.data)
			switch {
			case err == nil && p.Type != c.want:
				t.Errorf("it is %s, want %s", p.Type, c.want)
			case err != nil && (!strings.Contains(err.Error(), c.want) || rapport.KindOf(err) != rapport.Invalid):
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

// TestLogoIsServedAsAPicture: opened by itself it may do nothing.
func TestLogoIsServedAsAPicture(t *testing.T) {
	p := &Pages{}
	w := httptest.NewRecorder()
	p.picture(&Picture{Type: svgType, Data: []byte("<svg/>")})(w, httptest.NewRequest(http.MethodGet, logoPath, nil))
	if w.Header().Get("Content-Type") != svgType || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") || w.Body.String() != "<svg/>" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}
