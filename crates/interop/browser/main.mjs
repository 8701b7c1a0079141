// Every test of the tester page, one after the other in one browser; run.sh runs it.
import "./object.test.mjs";
import "./page.test.mjs";
import "./layout.test.mjs";
