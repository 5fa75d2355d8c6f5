"""One server as several processes: who does what, who watches over them, and how they answer as one."""
