// Command spares uses the same package without calling what is vulnerable in it.
package main

import "net/url"

func main() { println(url.QueryEscape("a b")) }
