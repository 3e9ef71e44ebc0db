create table half_made (id int primary key);
insert into half_made values (1);
insert into half_made values (1);
