create table rate (code text primary key, rate numeric, note text);
copy rate (code, rate, note) from stdin;
EUR	1	the \\ euro
USD	1.17	\N
GBP	0.86	tab\tin it
\.
update rate set rate = rate + 1 where code = 'USD';
