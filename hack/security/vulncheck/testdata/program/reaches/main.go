// Command reaches calls what the database of the tests says is vulnerable.
package main

import "net/url"

func main() {
	parsed, err := url.Parse("https://example.com")
	println(parsed.Host, err)
}
