// Package postgres gives tests a PostgreSQL server of their own, which they can stop, kill and start again.
//
// It is Debian's package, run by another user where the tests run as root, because PostgreSQL refuses to. It listens on a socket in
// its folder and nowhere else, and ends with the test, also if that is killed.
package postgres
