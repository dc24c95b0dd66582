"""Entry of the web server: `gunicorn -c gunicorn.conf.py wsgi:app`."""

from webapp.app import create_app

app = create_app()
